"""Exports of random histories on a real Postgres: sound unless somebody altered the database."""

import asyncio
import csv
import io
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.edition import edition
from api.roles import API_ROLE, as_role
from application.audit_log import exporter as exporting
from application.audit_log import exports, keys, signing
from application.audit_log.building import build
from application.audit_log.export import archive, spreadsheet
from application.audit_log.exporter import Exporter
from application.audit_log.keys import load
from application.audit_log.rebuilding import rebuild
from application.audit_log.selection import NothingSigned, Wanted
from application.audit_log.verify import ALTERED, SOUND, UNANCHORED
from application.event_store.session import connect
from tests.conftest import eventually, sized
from tests.contracts.exporting import Parts, anchored, checked, exported, happen
from tests.contracts.logged import Logged, logged

pytestmark = pytest.mark.anyio

EVENTS = sized(900, 9_000)


async def test_a_clean_export_is_always_sound(any_database: str, tmp_path: Path) -> None:
    """Of each company, whole and in parts, with erased events, also across tiles."""
    random, path = Random(5), tmp_path / "export.zip"
    async with logged(any_database) as log:
        for _ in range(3):
            await happen(log, random, EVENTS // 3)
            await log.keep()
        for company in log.companies:
            kept = await anchored(log, company)
            path.write_bytes(await exported(log, company))
            report = checked(path, kept)
            assert (report.status, report.problems) == (SOUND, [])
            assert report.manifest is not None
            assert report.manifest.erased > 0
            whole = Parts.of(path.read_bytes()).lines
            for _ in range(sized(12, 60)):
                first = random.randrange(-3, EVENTS + 50)
                last = random.randrange(max(1, first - 5), EVENTS + 50)
                path.write_bytes(await exported(log, company, max(1, first), last))
                report = checked(path, kept, saved=False)
                assert (report.status, report.problems) == (SOUND, [])
                told = Parts.of(path.read_bytes()).lines
                assert told == [e for e in whole if first <= int(e["position"]) <= last]


async def test_memory_does_not_grow_with_the_log(database: str, tmp_path: Path) -> None:
    path, peaks = tmp_path / "export", list[list[int]]()
    async with logged(database) as log, await connect(as_role(database, API_ROLE)) as connection:
        del log.companies[1:]
        wanted = Wanted(log.companies[0])
        for events in (3_000, 6_000):
            await happen(log, Random(events), events)
            await log.keep()
            made = (spreadsheet(connection, wanted), archive(connection, wanted, edition()))
            peaks.append([await most_memory(pieces, path) for pieces in made])
    for few, three_times_as_many in zip(*peaks, strict=True):
        assert three_times_as_many < 1.2 * few < 6_000_000


async def most_memory(pieces: AsyncGenerator[bytes], path: Path) -> int:
    """The most bytes that Python has at once while it writes these."""
    tracemalloc.start()
    try:
        with path.open("wb") as file:
            async with aclosing(pieces):
                async for piece in pieces:
                    file.write(piece)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_events_that_no_head_covers_yet_are_not_exported(
    database: str, tmp_path: Path
) -> None:
    random, path = Random(6), tmp_path / "export.zip"
    async with logged(database) as log:
        [company, *_] = log.companies
        with pytest.raises(NothingSigned):
            await exported(log, company)
        await happen(log, random, 60)
        with pytest.raises(NothingSigned):
            await exported(log, company)
        await log.keep()
        before = Parts.of(await exported(log, company)).lines
        await happen(log, random, 60)
        path.write_bytes(await exported(log, company))
        assert Parts.of(path.read_bytes()).lines == before
        assert checked(path, await anchored(log, company)).status == SOUND


async def test_a_spreadsheet_has_the_same_events(database: str) -> None:
    async with logged(database) as log, await connect(as_role(database, API_ROLE)) as connection:
        await happen(log, Random(7), 300)
        await log.keep()
        [company, *_] = log.companies
        async with aclosing(spreadsheet(connection, Wanted(company))) as pieces:
            text = b"".join([piece async for piece in pieces]).decode("utf-8-sig")
        lines = Parts.of(await exported(log, company)).lines
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [(r["position"], r["aggregateId"], r["recordedAt"]) for r in rows] == [
            (e["position"], e["aggregateId"], e["recordedAt"]) for e in lines
        ]


async def test_the_holder_of_a_replaced_key_is_told_to_get_the_new_one(
    database: str, tmp_path: Path
) -> None:
    path = tmp_path / "export.zip"
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, Random(4), 60)
        await log.keep()
        before = await anchored(log, company)
        await keys.rotate(log.projector)
        await log.keep()
        path.write_bytes(await exported(log, company))
        assert checked(path, before, saved=False).status == SOUND  # both have signed this one
        await happen(log, Random(44), 60)
        await log.keep()
        path.write_bytes(await exported(log, company))
        former = checked(path, before, saved=False)
        assert (former.status, former.problems) == (UNANCHORED, [])
        assert "was replaced" in former.remarks[0]
        after = await anchored(log, company)
        assert before.key != after.key
        assert checked(path, after, saved=False).status == SOUND
        assert checked(path, before, key=False).status == SOUND  # by the checkpoint alone
        parts = Parts.of(path.read_bytes())
        parts.lines[0]["salt"] = "00" * 16
        parts.refit()
        parts.files["keys.json"] = Parts.of(path.read_bytes()).files["keys.json"]
        parts.write(path)
        assert checked(path, before, saved=False).status == ALTERED


# By somebody with full rights; %(id)s is the event that is the first bad one then.
OF_EVENTS = {
    "state": "UPDATE event_store.events SET state = state || ' ' WHERE event_id = %(id)s",
    "salt": "UPDATE event_store.events SET salt = set_byte(salt, 0, 255 - get_byte(salt, 0))"
            " WHERE event_id = %(id)s",
    "salt and state": "UPDATE event_store.events SET salt = salt || substring(state FROM 1 FOR 1),"
                      " state = substring(state FROM 2) WHERE event_id = %(id)s",
    "topic": "UPDATE event_store.events SET topic = topic || 'X' WHERE event_id = %(id)s",
    "aggregate": "UPDATE event_store.events SET originator_id = gen_random_uuid()"
                 " WHERE event_id = %(id)s",
    "version": "UPDATE event_store.events SET originator_version = originator_version + 1000"
               " WHERE event_id = %(id)s",
    "moment": "UPDATE event_store.events SET recorded_at = recorded_at + interval '0.000001 s'"
              " WHERE event_id = %(id)s",
    "id": "UPDATE event_store.events SET event_id = gen_random_uuid() WHERE event_id = %(id)s",
    "company": "UPDATE event_store.events SET company_id = gen_random_uuid()"
               " WHERE event_id = %(id)s",
    "row": "DELETE FROM event_store.events WHERE event_id = %(id)s",
    "tail": "DELETE FROM event_store.events WHERE position >= (SELECT position"
            " FROM event_store.events WHERE event_id = %(id)s)",
    "erasure": "UPDATE event_store.events SET commitment = sha256(salt || state), state = NULL,"
               " salt = NULL WHERE event_id = %(id)s",
    "careless erasure": "UPDATE event_store.events SET state = NULL, salt = NULL"
                        " WHERE event_id = %(id)s",
    "swap": """
        UPDATE event_store.events e SET position = CASE e.position WHEN a.position THEN b.position
                                                   ELSE a.position END
          FROM (SELECT * FROM event_store.events WHERE event_id = %(id)s) a,
               (SELECT * FROM event_store.events WHERE event_id = %(later)s) b
         WHERE e.position IN (a.position, b.position)""",
    "insertion": """
        UPDATE event_store.events SET position = position + 1
         WHERE position >= (SELECT position FROM event_store.events WHERE event_id = %(id)s);
        INSERT INTO event_store.events
        SELECT position - 1, company_id, gen_random_uuid(), 1, topic, state, salt,
               gen_random_uuid(), recorded_at
          FROM event_store.events WHERE event_id = %(id)s""",
}  # fmt: skip
# Who may alter rows may drop what keeps them apart, too.
KEEP = """
CREATE TABLE kept AS SELECT * FROM event_store.events;
ALTER TABLE event_store.events DROP CONSTRAINT events_pkey,
                               DROP CONSTRAINT events_one_per_version,
                               DROP CONSTRAINT events_event_id_key
"""
RESTORE = """
DELETE FROM event_store.events; INSERT INTO event_store.events SELECT * FROM kept
"""


@pytest.mark.parametrize("also", ["nothing", "tiles", "heads"])
async def test_whatever_is_done_to_the_database_is_found(
    also: str, database: str, tmp_path: Path
) -> None:
    """The events alone; with the trees built anew; and with heads signed anew by the real key.

    The first is named, the second is found by whoever has the key, the third by who kept a head.
    """
    path = tmp_path / "export.zip"
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, Random(8), sized(150, 30_000))
        await log.keep()
        kept = await anchored(log, company)
        await log.owner.execute(KEEP)
        whole = Parts.of(await exported(log, company)).lines
        edits = [*OF_EVENTS.items()] * sized(1, 5)
        for number, (name, statement) in enumerate(edits):
            random = Random(number)
            index, later = _two(random, whole)
            params = {"id": whole[index]["eventId"], "later": whole[later]["eventId"]}
            await _tamper(log, statement, params)
            if also != "nothing":
                await rebuild(log.conninfo)
            if also == "heads":
                await log.owner.execute("DELETE FROM audit_log.heads")
                await signing.sign_all(log.projector, await load(log.projector, None))
            path.write_bytes(await exported(log, company))
            report = checked(path, kept)
            assert report.status == ALTERED, name
            assert checked(path, kept, key=False).status == ALTERED, name
            if also == "nothing":
                assert report.bad is not None, name
                assert report.bad.index == index, (name, report.problems)
                assert checked(path, kept, saved=False).status == ALTERED, name
            await _tamper(log, RESTORE)
        await log.owner.execute("DELETE FROM audit_log.heads")
        await rebuild(log.conninfo)
        await signing.sign_all(log.projector, await load(log.projector, None))
        path.write_bytes(await exported(log, company))
        assert checked(path, kept).status == SOUND


async def _tamper(log: Logged, statements: str, params: dict[str, Any] | None = None) -> None:
    async with log.owner.transaction():
        await log.owner.execute("SET LOCAL session_replication_role = replica")
        for statement in statements.split(";"):
            await log.owner.execute(statement.encode(), params)


def _two(random: Random, lines: list[dict[str, Any]]) -> tuple[int, int]:
    """An event of a table that is not erased, which said something; and a later one."""
    gone = {line["aggregateId"] for line in lines if line["topic"] == "TableDef.Erased"}
    whole = [
        n
        for n, line in enumerate(lines[:-1])
        if line["aggregateId"] not in gone and line.get("state")
    ]  # fmt: skip
    first = random.choice(whole)
    return first, random.randrange(first + 1, len(lines))


async def test_an_export_survives_the_process_that_makes_it(database: str, tmp_path: Path) -> None:
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, Random(9), 100)
        await log.keep()
        export = await exports.ask(log.owner, uuid4(), Wanted(company), "zip", company)
        await log.owner.execute(
            "UPDATE audit_log.exports SET status = 'running', run = gen_random_uuid(), attempts = 1"
        )
        await log.owner.execute(
            "INSERT INTO audit_log.export_chunks VALUES (%s, %s, 0, 'half of it')",
            (company, export.id),
        )
        path = tmp_path / "export.zip"
        path.write_bytes(await _made(log, company, export.id))
        assert checked(path, await anchored(log, company)).status == SOUND


async def _made(log: Logged, company: UUID, id: UUID) -> bytes:
    """What the process makes of it."""
    exporter = Exporter(log.conninfo, edition())
    task = asyncio.create_task(exporter.run())

    async def is_done() -> bool:
        return (await exports.find(log.owner, company, id)).status == "done"

    try:
        await eventually(is_done)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return await exports.chunk(log.owner, await exports.find(log.owner, company, id), 0)


async def test_what_was_recorded_when_an_export_was_asked_for_is_in_it(
    database: str, tmp_path: Path
) -> None:
    """The signer is a little behind: the export is made when what it should have is signed."""
    random, path = Random(12), tmp_path / "export.zip"
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, random, 60)
        await log.keep()
        await happen(log, random, 60)
        export = await exports.ask(log.owner, uuid4(), Wanted(company), "zip", company)
        exporter = Exporter(log.conninfo, edition())
        assert await exporter.make_all(log.projector) == 0
        await build(log.projector)
        assert await exporter.make_all(log.projector) == 0, "there are leaves, but no head yet"
        assert (await exports.find(log.owner, company, export.id)).status == "waiting"
        await signing.sign_all(log.projector, await load(log.projector, None))
        kept = Parts.of(await exported(log, company)).lines
        await happen(log, random, 60)
        path.write_bytes(await _made(log, company, export.id))
        assert checked(path, await anchored(log, company)).status == SOUND
        assert Parts.of(path.read_bytes()).lines == kept


async def test_an_export_does_not_wait_for_a_signer_that_does_not_sign(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, Random(12), 60)
        await log.keep()
        await happen(log, Random(13), 60)
        export = await exports.ask(log.owner, uuid4(), Wanted(company), "zip", company)
        exporter = Exporter(log.conninfo, edition())
        assert await exporter.make_all(log.projector) == 0
        monkeypatch.setattr(exporting, "PATIENCE", 0)
        assert await exporter.make_all(log.projector) == 1
        assert (await exports.find(log.owner, company, export.id)).status == "done"


async def test_two_processes_do_not_make_the_same_export(database: str) -> None:
    async with logged(database) as log, await connect(log.conninfo) as other:
        [company, *_] = log.companies
        await happen(log, Random(9), 100)
        await log.keep()
        for _ in range(4):
            await exports.ask(log.owner, uuid4(), Wanted(company), "zip", company)
        first, second = Exporter(log.conninfo, edition()), Exporter(log.conninfo, edition())
        made = await asyncio.gather(first.make_all(log.projector), second.make_all(other))
        assert sum(made) == 4
        done = await exports.every(log.owner, company)
        assert {(each.status, each.progress) for each in done} == {("done", 1.0)}
        rows = await log.owner.execute("SELECT sum(attempts) FROM audit_log.exports")
        assert await rows.fetchall() == [(4,)]


async def test_an_export_that_fails_again_and_again_is_given_up(database: str) -> None:
    async with logged(database) as log:
        [company, *_] = log.companies
        await happen(log, Random(9), 100)
        await log.keep()
        export = await exports.ask(log.owner, uuid4(), Wanted(company), "zip", company)
        await log.tamper("UPDATE event_store.events SET recorded_at = 'infinity'")
        exporter = Exporter(log.conninfo, edition())
        for _ in range(5):
            assert await exporter.make_all(log.projector) == 0
        failed = await exports.find(log.owner, company, export.id)
        assert failed.status == "failed"
        assert failed.error
        assert await exporter.make_all(log.projector) == 0
