"""The event store on Postgres: group commit through one server-side call, coalesced loads."""

import math
import os
import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import psycopg
from pydantic_core import to_json

from application.batching import Batcher, Coalescer, Tokens
from application.errors import (
    AppendBusy,
    ContainerClosed,
    ContainerUnknown,
    Fault,
    KeyReused,
    SlugTaken,
    StoreUnavailable,
    VersionConflict,
)
from application.event_store.session import InDoubt, Session, companies, scoped
from application.event_store.store import Append, IdempotencyKey, Receipt
from domain.base import Event
from domain.recorded import Recorded, decode, encode

APPEND = """
SELECT command, outcome, originator_id, version, position, recorded_at
  FROM event_store.append(%s::jsonb, %s::jsonb)
"""
RESOLVE = """
SELECT command, originator_id, version, position, recorded_at
  FROM event_store.resolve(%s::jsonb, %s::integer)
"""
# What was erased has no state; what has none and was not, cannot be read.
LOAD = scoped("""
SELECT originator_id, originator_version, topic,
       coalesce(state, CASE WHEN commitment IS NULL THEN ''::bytea END), company_id, position,
       recorded_at
  FROM event_store.events
 WHERE originator_id = ANY(%(ids)s) AND (company_id = ANY(%(company_ids)s)) IS TRUE
 ORDER BY originator_id, originator_version
""")
# Whether a member is alive, its last deletion or restoration says, whatever kind of thing it is.
MEMBERS = scoped("""
SELECT m.member_id
  FROM event_store.memberships m
  LEFT JOIN LATERAL (
       SELECT topic LIKE '%%.Deleted' AS is_deletion, state
         FROM event_store.events
        WHERE originator_id = m.member_id AND (company_id = %(company_id)s) IS TRUE
          AND (topic LIKE '%%.Deleted' OR topic LIKE '%%.Restored')
        ORDER BY originator_version DESC
        LIMIT 1) AS last ON true
 WHERE m.container_id = %(container_id)s AND m.company_id = %(company_id)s
   AND m.position < %(before)s AND m.member_id > %(after)s
   AND CASE WHEN %(because)s::text[] IS NULL THEN last.is_deletion IS NOT TRUE
            ELSE last.is_deletion AND convert_from(last.state, 'UTF8')::jsonb
                     #>> '{metadata,causationId}' = ANY(%(because)s) END
 ORDER BY m.member_id
 LIMIT %(limit)s
""")
READ = """
SELECT originator_id, originator_version, topic, state, company_id, position, recorded_at
  FROM event_store.events
 WHERE position > %s
 ORDER BY position
 LIMIT %s
"""
RECALL = scoped("""
SELECT request_hash, originator_id, version, position, recorded_at
  FROM event_store.idempotency_keys
 WHERE company_id = %(company_id)s AND key = %(key)s
""")
FREE_SLUG = scoped("""
SELECT slug
  FROM unnest(%(slugs)s::text[]) WITH ORDINALITY AS candidate(slug, choice)
 WHERE NOT EXISTS (SELECT FROM event_store.slugs s
                    WHERE s.company_id = %(company_id)s AND s.slug = candidate.slug)
 ORDER BY choice
 LIMIT 1
""")

REMEMBERED = 60.0  # seconds
ERASED = ""  # the hash of a request of which nobody shall find out what it was
Answer = Receipt | Exception
Encoded = tuple[Append, Sequence[dict[str, object]]]
Identity = tuple[UUID, UUID]  # company and aggregate
Row = tuple[UUID, int, str, bytes, UUID, int, datetime]  # an erased one has no state


class PostgresEventStore:
    """Keeps events in `event_store.events`. Appends and loads have a connection each."""

    def __init__(self, conninfo: str) -> None:
        self._writes = Session(conninfo)
        self._reads = Session(conninfo)
        self._appends: Batcher[Encoded, Receipt] = Batcher(self._commit, _tokens)
        self._loads: Coalescer[Identity, list[Row]] = Coalescer(self._load_many)
        self._failed_at = -math.inf

    @property
    def is_storing(self) -> bool:
        """Whether no append of the last minute failed, or one succeeded since."""
        return time.monotonic() - self._failed_at > REMEMBERED

    async def append(self, append: Append) -> Receipt:
        """Store the events of one command together with those of others that wait."""
        # Encoded here: events without a stored form are refused before they join a batch.
        return await self._appends.ask((append, [_encoded(event) for event in append.events]))

    async def load(self, company_id: UUID, originator_id: UUID) -> Sequence[Recorded]:
        """All events of one aggregate of a company in version order; empty if there are none."""
        rows = await self._loads.get((company_id, originator_id)) or ()
        return [_recorded(row) for row in rows if row[3] is not None]

    async def recall(self, company_id: UUID, idempotency: IdempotencyKey) -> Receipt | None:
        """What the same request got before."""
        params = {"company_id": company_id, "key": idempotency.key}
        rows = await self._reads.fetch(RECALL, params | {"companies": companies(company_id)})
        if not rows:
            return None
        request_hash, originator_id, version, position, recorded_at = rows[0]
        if request_hash not in {idempotency.request_hash, ERASED}:
            raise KeyReused
        return Receipt(originator_id, version, position, recorded_at, replayed=True)

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Events above a position, in global order."""
        rows = await self._reads.fetch(READ, (after, limit))
        return [_recorded(cast(Row, row)) for row in rows if row[3] is not None]

    async def free_slug(self, company_id: UUID, candidates: Sequence[str]) -> str | None:
        """The first of these slugs that nobody in the company holds."""
        params = {"company_id": company_id, "slugs": list(candidates)}
        rows = await self._reads.fetch(FREE_SLUG, params | {"companies": companies(company_id)})
        return rows[0][0] if rows else None

    async def members(
        self,
        company_id: UUID,
        container_id: UUID,
        before: int,
        after: UUID,
        limit: int,
        because: Collection[UUID] | None = None,
    ) -> Sequence[UUID]:
        """Who is alive in a container, or was deleted because of something, in pages."""
        params = {
            "companies": companies(company_id), "company_id": company_id,
            "container_id": container_id, "before": before, "after": after, "limit": limit,
            "because": None if because is None else [str(id) for id in because],
        }  # fmt: skip
        rows = await self._reads.fetch(MEMBERS, params)
        return [row[0] for row in rows]

    async def close(self) -> None:
        """Close the connections."""
        await self._writes.close()
        await self._reads.close()

    async def _load_many(self, wanted: Sequence[Identity]) -> Mapping[Identity, list[Row]]:
        """One query for all who wait, as all of their companies; each gets its own rows alone."""
        found: defaultdict[Identity, list[Row]] = defaultdict(list)
        ours = list({company_id for company_id, _ in wanted})
        params = {"ids": [id for _, id in wanted], "company_ids": ours}
        for row in await self._reads.fetch(LOAD, params | {"companies": companies(*ours)}):
            found[row[4], row[0]].append(cast(Row, row))
        return found

    async def _commit(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        try:
            rows = await self._writes.fetch(APPEND, _documents(batch))
        except InDoubt:
            return await self._resolve([append for append, _ in batch])
        except StoreUnavailable:
            self._failed_at = time.monotonic()
            raise
        except psycopg.Error as error:
            if len(batch) == 1:
                self._failed_at = time.monotonic()
                return [StoreUnavailable(str(error))]
            return await self._commit_singly(batch)
        self._failed_at = -math.inf
        return [_answer(append, *row[1:]) for (append, _), row in zip(batch, rows, strict=True)]

    async def _commit_singly(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        answers: list[Answer] = []
        for encoded in batch:
            try:
                answers += await self._commit([encoded])
            except Fault as fault:  # the rest would wait as long again
                return answers + [fault] * (len(batch) - len(answers))
        return answers

    async def _resolve(self, batch: Sequence[Append]) -> Sequence[Answer]:
        """Find out what became of a batch whose acknowledgement was lost."""
        document = _json([_trace(index, append) for index, append in enumerate(batch)])
        try:
            rows = await self._writes.fetch(RESOLVE, (document, self._writes.backend))
        except AppendBusy as busy:  # which would say that nothing was stored
            raise StoreUnavailable("the connection broke; what was stored is unknown") from busy
        stored = {index: Receipt(*receipt) for index, *receipt in rows}
        lost = StoreUnavailable("the connection broke; nothing was stored")
        return [stored.get(index, lost) for index in range(len(batch))]


def _tokens(encoded: Encoded) -> Tokens:
    """Nobody comes alive in a container in the batch that opens or closes it."""
    append, _ = encoded
    company = append.company_id
    exclusive: list[Hashable] = [append.originator_id]
    exclusive += [(company, "slug", slug) for slug in (append.claim, append.release) if slug]
    if append.idempotency:
        exclusive.append((company, "key", append.idempotency.key))
    return Tokens(exclusive, (append.joins,) if append.joins else ())


def _encoded(event: Event) -> dict[str, object]:
    return {
        "version": event.originator_version,
        "topic": event.TOPIC,
        "state": encode(event).decode(),
        "salt": os.urandom(16).hex(),
        "event_id": event.metadata.event_id,
    }


def _documents(batch: Sequence[Encoded]) -> tuple[str, str]:
    commands = [_command(index, append) for index, (append, _) in enumerate(batch)]
    events = [
        {"command": index, **event} for index, (_, events) in enumerate(batch) for event in events
    ]
    return _json(commands), _json(events)


def _json(documents: Sequence[Mapping[str, object]]) -> str:
    return to_json(documents).decode()


def _command(index: int, append: Append) -> dict[str, object]:
    key = append.idempotency
    return {
        "command": index,
        "company_id": append.company_id,
        "originator_id": append.originator_id,
        "expected_version": append.expected_version,
        "position": append.position,
        "claim": append.claim,
        "release": append.release,
        "joins": append.joins,
        "leaves": append.leaves,
        "opens": append.opens,
        "key": key and key.key,
        "request_hash": key and key.request_hash,
        "dry_run": append.dry_run,
    }


def _trace(index: int, append: Append) -> dict[str, object]:
    event_id = append.events[-1].metadata.event_id if append.events else None
    return _command(index, append) | {"event_id": event_id}


def _answer(
    append: Append,
    outcome: str,
    originator_id: UUID,
    version: int,
    position: int,
    recorded_at: datetime,
) -> Answer:
    match outcome:
        case "accepted":
            return Receipt(originator_id, version, position, recorded_at)
        case "replayed":
            return Receipt(originator_id, version, position, recorded_at, replayed=True)
        case "conflict":
            return VersionConflict(version)
        case "slug-taken":
            return SlugTaken(append.claim or "", originator_id)
        case "container-unknown":
            return ContainerUnknown(originator_id)
        case "container-closed":
            return ContainerClosed(originator_id, append.company_id)
    return KeyReused()


def _recorded(row: Row) -> Recorded:
    originator_id, version, topic, state, company_id, position, recorded_at = row
    event = decode(topic, originator_id, version, state)
    return Recorded(event, company_id, position, recorded_at)
