"""The tamper-evident log, on 18 and on 15: every event is in it, and nothing signed is unsaid."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from api.roles import API_ROLE, as_role
from application.audit_log import building, keys, merkle, tiles
from application.audit_log.log import AuditLog
from application.audit_log.note import NoteError, SignerKey, open_note
from application.audit_log.rebuilding import rebuild
from application.event_store.session import connect
from tests.conftest import eventually, sized
from tests.contracts.logged import Logged, logged

pytestmark = pytest.mark.anyio

TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'dynamic_tables_projector'
   AND pid <> %s
"""
RUN = """
import asyncio, sys
from application.audit_log.log import AuditLog
asyncio.run(AuditLog(sys.argv[1], poll=0.01).run())
"""
FLIP = "UPDATE audit_log.tiles SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1)"


@pytest.fixture
async def log(any_database: str) -> AsyncIterator[Logged]:
    async with logged(any_database) as made:
        yield made


@pytest.fixture
async def log_18(database: str) -> AsyncIterator[Logged]:
    async with logged(database, poll=0.01) as made:
        yield made


@pytest.mark.parametrize("limit", [1, 7, 300, 5000])
async def test_every_event_is_a_leaf_whatever_it_holds(log_18: Logged, limit: int) -> None:
    await log_18.happen(sized(40, 400) if limit < 10 else 1500, seed=limit)
    while (await building.build(log_18.projector, limit)).events:
        pass
    leaves = await log_18.leaves()
    assert set(leaves) == set(log_18.companies)
    for company, expected in leaves.items():
        assert await stored(log_18, company) == expected
    await log_18.keep()
    assert await log_18.is_signed()


async def stored(log: Logged, company: UUID) -> list[bytes]:
    """The hashes of leaves that are in the tiles."""
    query = "SELECT hashes FROM audit_log.tiles WHERE company_id = %s AND level = 0 ORDER BY index"
    rows = await (await log.owner.execute(query, (company,))).fetchall()
    return [each for (tile,) in rows for each in building.hashes(tile)]


async def test_the_tree_grows_and_its_heads_are_signed(log: Logged) -> None:
    for seed in range(4):
        await log.happen(400, seed=seed)
        await log.keep()
        assert await log.is_signed()
    many = sized(1000, 70_000)
    await log.happen(many, log.companies[0])
    await log.keep()
    assert await log.is_signed()


async def test_every_proof_can_be_read_from_the_tiles(log_18: Logged) -> None:
    company = log_18.companies[0]
    await log_18.happen(700, company)
    await log_18.keep()
    leaves, random = (await log_18.leaves())[company], Random(1)
    for _ in range(30):
        size = random.randint(1, 700)
        index, first = random.randrange(size), random.randint(1, size)
        inclusion = merkle.inclusion_ranges(index, size)
        consistency = merkle.consistency_ranges(first, size)
        wanted = [(company, each) for each in (*inclusion, *consistency)]
        found = await tiles.read(log_18.projector, wanted)
        proof = merkle.inclusion_proof(leaves[:size], index)
        assert [found.over(company, each) for each in inclusion] == proof
        proof = merkle.consistency_proof(leaves[:size], first)
        assert [found.over(company, each) for each in consistency] == proof


async def test_whoever_is_interrupted_anywhere_has_lost_and_doubled_nothing(log_18: Logged) -> None:
    """Three at once, that lose their connections all the time; each note extends the last."""
    logs = [AuditLog(log_18.conninfo, poll=0.01) for _ in range(3)]
    tasks = [asyncio.create_task(each.run()) for each in logs]
    seen, random = dict[tuple[UUID, int], bytes](), Random(1)
    for seed in range(20):
        await log_18.happen(40, seed=seed)
        await asyncio.sleep(random.uniform(0, 0.06))
        await log_18.owner.execute(TERMINATE, (log_18.projector.info.backend_pid,))
        for company, (size, root) in (await log_18.signed()).items():
            assert seen.setdefault((company, size), root) == root
    await eventually(log_18.is_signed)
    seen |= {(id, size): root for id, (size, root) in (await log_18.signed()).items()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    leaves = await log_18.leaves()
    assert len(seen) >= 3
    assert all(merkle.root(leaves[id][:size]) == root for (id, size), root in seen.items())


async def test_two_builders_that_both_believe_to_lead_add_each_event_once(log_18: Logged) -> None:
    await log_18.happen(600)
    async with await AsyncConnection.connect(log_18.conninfo, autocommit=True) as other:
        while True:
            built = await asyncio.gather(*(
                building.build(each, 20) for each in (log_18.projector, other)
            ))  # fmt: skip
            if not any(each.events for each in built):
                break
    await log_18.keep()
    assert await log_18.is_signed()


async def test_killed_it_is_replaced(log_18: Logged) -> None:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", RUN, log_18.conninfo])

    async def has_begun() -> bool:
        return bool(await log_18.notes())

    first, second = start(), start()
    try:
        await log_18.happen(2000)
        await eventually(has_begun)
        first.send_signal(signal.SIGKILL)
        await log_18.happen(2000, seed=2)
        await eventually(log_18.is_signed)
    finally:
        for each in (first, second):
            each.kill()
            each.wait()


async def test_altered_tiles_are_not_signed_until_they_are_built_anew(log: Logged) -> None:
    await log.happen(300)
    await log.keep()
    before = await log.notes()
    victim = log.companies[0]
    await log.tamper(f"{FLIP} WHERE company_id = %s", victim)
    await log.happen(30, seed=2)
    await log.keep()
    assert await log.refused() == {victim}
    after = await log.notes()
    assert after[victim] == before[victim]
    assert all(after[id] != before[id] for id in log.companies[1:])
    assert await rebuild(log.conninfo) == (330, 0)
    await log.keep()
    assert await log.refused() == set()
    assert await log.is_signed()


async def test_altered_tiles_are_noticed_at_the_start(log_18: Logged) -> None:
    await log_18.happen(300)
    await log_18.keep()
    await log_18.tamper(f"{FLIP} WHERE company_id = %s", log_18.companies[1])
    await AuditLog(log_18.conninfo).step(log_18.projector)
    assert await log_18.refused() == {log_18.companies[1]}


ALTERATIONS = {
    "its state": "UPDATE event_store.events SET state = '' WHERE position = 2",
    "its topic": "UPDATE event_store.events SET topic = 'TableDef.Deleted' WHERE position = 2",
    "its salt": "UPDATE event_store.events SET salt = 'pepper' WHERE length(salt) > 0",
    "its moment": """
        UPDATE event_store.events SET recorded_at = recorded_at + interval '1 us'
         WHERE position = 2""",
    "deleted": "DELETE FROM event_store.events WHERE position = 2",
    "the last one deleted": "DELETE FROM event_store.events WHERE position = 40",
    "put before the others": "UPDATE event_store.events SET position = 0 WHERE position = 2",
    "swapped": """
        UPDATE event_store.events SET position = 100 - position WHERE position > 38;
        UPDATE event_store.events SET position = position - 21 WHERE position > 40""",
    "one too many": """
        INSERT INTO event_store.events
        SELECT 0, company_id, gen_random_uuid(), 1, topic, state, salt, gen_random_uuid(),
               recorded_at
          FROM event_store.events WHERE position = 2""",
}


@pytest.mark.parametrize("alteration", ALTERATIONS.values(), ids=ALTERATIONS)
async def test_altered_events_are_not_signed(log_18: Logged, alteration: str) -> None:
    await log_18.happen(40, log_18.companies[0])
    await log_18.keep()
    signed = await log_18.notes()
    await log_18.tamper(alteration)
    _, refused = await rebuild(log_18.conninfo)
    await log_18.happen(5, log_18.companies[0], seed=2)
    await log_18.keep()
    assert refused == 1
    assert await log_18.refused() == {log_18.companies[0]}
    assert await log_18.notes() == signed


async def test_a_tree_without_some_tile_is_not_signed(log_18: Logged) -> None:
    company = log_18.companies[0]
    await log_18.happen(600, company)
    await log_18.keep()
    await log_18.tamper("DELETE FROM audit_log.tiles WHERE level = 1")
    await log_18.happen(1, company)
    await log_18.keep()
    assert await log_18.refused() == {company}


async def test_an_erased_event_leaves_the_tree_as_it_is(log_18: Logged) -> None:
    await log_18.happen(40)
    await log_18.keep()
    before = await log_18.notes()
    await log_18.tamper(
        "UPDATE event_store.events SET state = NULL, salt = NULL,"
        " commitment = sha256(coalesce(salt, '') || state) WHERE state IS NOT NULL"
    )
    assert await rebuild(log_18.conninfo) == (40, 0)
    await log_18.keep()
    assert await log_18.notes() == before


async def test_while_it_is_rebuilt_nobody_else_builds(log_18: Logged) -> None:
    await log_18.happen(10)
    async with log_18.owner.transaction():
        await log_18.owner.execute(building.WAIT)
        assert (await building.build(log_18.projector)).events == 0
    assert (await building.build(log_18.projector)).events == 10


async def test_a_new_key_signs_and_the_old_one_once_more(log_18: Logged) -> None:
    await log_18.happen(40)
    await log_18.keep()
    [old] = await keys.listed(log_18.owner)
    new = await keys.rotate(log_18.owner)
    assert new.name == old.key.name
    await log_18.keep()
    handover = await log_18.notes()
    for note in handover.values():
        assert open_note(note, [old.key, new]).verified == (old.key, new)
    secrets = await log_18.owner.execute("SELECT private_key FROM audit_log.keys ORDER BY number")
    assert [bool(row[0]) for row in await secrets.fetchall()] == [False, True]
    await log_18.happen(40)
    await log_18.keep()
    for note in (await log_18.notes()).values():
        assert open_note(note, [old.key, new]).verified == (new,)
    kept = await log_18.owner.execute("SELECT company_id, handover FROM audit_log.heads")
    assert dict(await kept.fetchall()) == handover


async def test_a_key_may_be_in_a_file(log_18: Logged, tmp_path: Path) -> None:
    key, path = SignerKey.generate("example.com/log"), tmp_path / "key"
    path.write_text(f"{key.text()}\n")
    log_18.log = AuditLog(log_18.conninfo, path)
    await log_18.happen(10)
    await log_18.keep()
    assert await log_18.is_signed()
    assert all(open_note(each, [key.verifier]) for each in (await log_18.notes()).values())
    assert key.seed not in await secrets(log_18)

    log_18.log = AuditLog(log_18.conninfo)  # the file is gone
    before = await log_18.notes()
    await log_18.happen(10)
    await log_18.keep()
    assert await log_18.notes() == before

    await keys.rotate(log_18.owner)
    await log_18.keep()
    assert await log_18.is_signed()


async def test_it_is_told_how_far_it_is_and_since_when_events_wait(
    log_18: Logged, tmp_path: Path
) -> None:
    """To the API as well, which may not see whose events these are."""
    company = log_18.companies[0]
    assert await standing(log_18) == (0, None, 0)
    await log_18.happen(10, company)
    waits_since = (await standing(log_18))[1]
    assert await standing(log_18) == (0, waits_since, 0)
    assert waits_since is not None
    await log_18.keep()
    assert await standing(log_18) == (10, None, 0)

    log_18.log = AuditLog(log_18.conninfo, tmp_path / "nothing")  # in which there is no key
    await log_18.happen(10, company)
    await log_18.keep()
    position, waits_now, _ = await standing(log_18)
    assert position == 10
    assert waits_now is not None
    assert waits_now > waits_since
    log_18.log = AuditLog(log_18.conninfo)
    await log_18.keep()
    assert await standing(log_18) == (20, None, 0)

    await log_18.tamper(FLIP)
    await log_18.happen(1, company)
    await log_18.keep()
    assert await standing(log_18) == (21, None, 1)
    await rebuild(log_18.conninfo)
    await log_18.keep()
    assert await standing(log_18) == (21, None, 0)


async def standing(log: Logged) -> tuple[int, datetime | None, int]:
    """As the API sees it."""
    async with await connect(as_role(log.url, API_ROLE)) as connection:
        row = await (await connection.execute("SELECT * FROM audit_log.standing()")).fetchone()
        return row or (0, None, 0)


async def secrets(log: Logged) -> list[bytes]:
    rows = await (await log.owner.execute("SELECT private_key FROM audit_log.keys")).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("text", ["", "\n", "no key", "PRIVATE+KEY+a+00000000+AAAA"])
def test_a_file_holds_a_key_or_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(NoteError):
        keys.read_file(tmp_path / "key")
