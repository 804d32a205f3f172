"""What was: histories, the log, and the list as of a position, in a company with a past."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from urllib.parse import urlencode
from uuid import UUID

import psycopg

from api.roles import PROJECTOR_ROLE, as_role
from benchmarks.load import Client
from benchmarks.service import COMPANY, Service
from projections.base import live_schema
from projections.history import HistoryProjection
from projections.rebuild import rebuild
from projections.table_defs import TableDefsProjection

TABLES, VERSIONS, LONG = 100_000, 20, 10_000
WARMING, ROUNDS = 10, 100  # requests of each page
BUSY = UUID("019ab3f2-0000-7000-8000-0000000000c1")  # the table with a long history
SORTS = ("name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt")
# Round after round, every table gets another name: no order stays as it was. One table in a hundred
# changes for a reason. Then one table changes again and again.
PAST = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT position, %(company)s, id, version,
       CASE version WHEN 1 THEN 'TableDef.Created' ELSE 'TableDef.Renamed' END,
       convert_to(json_build_object(
           'occurredAt', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'data', CASE version WHEN 1 THEN json_build_object(
               'companyId', %(company)s, 'workspaceId', null, 'name', name, 'slug', 't-' || number,
               'description', 'All that our customers ordered, of kind ' || number, 'icon', 'box',
               'color', '#1a73e8', 'settings', json_build_object('enableForm', true))
               ELSE json_build_object('name', name) END,
           'metadata', json_build_object(
               'eventId', event_id, 'companyId', %(company)s,
               'actorId', md5('actor ' || number %% 50)::uuid, 'actorKind', 'user',
               'command', 'change', 'requestId', 'r', 'correlationId', 'c',
               'reason', CASE WHEN number %% 100 = 0 THEN 'asked for by team ' || number %% 7 END)
           )::text, 'UTF8'),
       decode(md5('salt ' || position), 'hex'), event_id, at
  FROM (SELECT position, number, version, id, 'Table ' || md5(number || ' ' || version) AS name,
               md5('event ' || position)::uuid AS event_id,
               '2026-01-01'::timestamptz + position * interval '1 millisecond' AS at
          FROM (SELECT (version - 1) * %(tables)s::bigint + number AS position, number, version,
                       md5('table ' || number)::uuid AS id
                  FROM generate_series(%(version)s::integer, %(version)s) AS version,
                       generate_series(1, %(tables)s::integer) AS number
                 UNION ALL
                SELECT %(tables)s::bigint * %(versions)s + version, 0, version, %(busy)s::uuid
                  FROM generate_series(1, %(long)s::integer) AS version
                 WHERE %(version)s = %(versions)s) AS events) AS events
 ORDER BY position
"""


@dataclass(frozen=True)
class Page:
    """One kind of page: the milliseconds of a request, median and 95th percentile."""

    name: str
    median: float
    p95: float


def fill(database: str, tables: int = TABLES) -> Mapping[str, float]:
    """Give a company its past; events per second of building each read model."""
    with psycopg.connect(database, autocommit=True) as connection:
        for version in range(1, VERSIONS + 1):
            connection.execute(
                PAST.encode(),
                {
                    "company": COMPANY, "tables": tables, "versions": VERSIONS,
                    "version": version, "busy": BUSY, "long": LONG,
                },
            )  # fmt: skip
        connection.execute("VACUUM (ANALYZE) event_store.events")
    rates = {}
    for model in (TableDefsProjection(), HistoryProjection()):
        started = time.perf_counter()
        events = asyncio.run(rebuild(as_role(database, PROJECTOR_ROLE), model))
        rates[model.name] = events / (time.perf_counter() - started)
    with psycopg.connect(database, autocommit=True) as connection:  # as it does itself, a minute on
        connection.execute(f"VACUUM {live_schema(HistoryProjection())}.standings".encode())
    return rates


def as_of(service: Service, tables: int = TABLES) -> Iterator[tuple[str, Page, Page]]:
    """For each order, the present page and the slowest page of the past at five positions."""
    positions = (
        tables // 2, 5 * tables + 7, 10 * tables + tables // 2, 19 * tables + 3, 20 * tables,
    )  # fmt: skip
    for sort in SORTS:
        paths = [_path("/api/tables", sort=sort)]
        paths += [_path("/api/tables", sort=sort, asOfPosition=at) for at in positions]
        present, *past = asyncio.run(_in_turn(service, {path: path for path in paths}))
        yield sort, present, max(past, key=lambda page: page.median)


def pages(service: Service) -> Sequence[Page]:
    """Pages of the long history, and of the company's log with each of its filters."""
    audit, history = "/api/audit/events", f"/api/tables/{BUSY}/history"
    renamed = "dynamic-tables.table-def.renamed.v1"
    wanted = {
        "history, newest": _path(history),
        "history, oldest": _path(history, order="oldest"),
        "diff of a long history": _path(
            f"/api/tables/{BUSY}/diff", **{"from": "1", "to": LONG - 1}
        ),
        "log, newest": _path(audit),
        "log, oldest": _path(audit, order="oldest"),
        "log of an actor": _path(audit, actorId=_actor(7)),
        "log of an actor and type": _path(audit, actorId=_actor(7), type=renamed),
        "log of a type": _path(audit, type=renamed),
        "log of a type that is rare": _path(audit, type=renamed.replace("renamed", "purged")),
        "log of a table": _path(audit, tableId=BUSY),
        "log of a time": _path(audit, **{"from": "2026-01-01T00:05:00Z"}, order="oldest"),
        "log with a word that is everywhere": _path(audit, q="table"),
        "log with a word in a hundredth": _path(audit, q="asked"),
        "log with two words": _path(audit, q="asked team"),
        "log with a word that is nowhere": _path(audit, q="zwiebelkuchen"),
        "comparison of a company": _path("/api/audit/diff", **{"from": TABLES * VERSIONS // 2}),
    }
    return asyncio.run(_in_turn(service, wanted))


def _actor(number: int) -> str:
    return str(UUID(md5(f"actor {number}".encode(), usedforsecurity=False).hexdigest()))


def _path(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query)}" if query else path


async def _in_turn(service: Service, paths: Mapping[str, str]) -> Sequence[Page]:
    """Pages by name: each is asked for once in a round, so that all see the same machine."""
    taken: Mapping[str, list[float]] = {name: [] for name in paths}
    async with Client(service.address, service.key) as client:
        for _ in range(WARMING + ROUNDS):
            for name, path in paths.items():
                started = time.perf_counter()
                await client.send("GET", path)
                taken[name].append((time.perf_counter() - started) * 1000)
    return [_summed_up(name, times[WARMING:]) for name, times in taken.items()]


def _summed_up(name: str, times: Sequence[float]) -> Page:
    return Page(name, statistics.median(times), statistics.quantiles(times, n=20)[-1])
