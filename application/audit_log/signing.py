"""Signs the head of each company's tree, if it extends the last one that was signed: no other.

Who keeps a head can be shown that the tree of any later one begins with it. A log that signed a
head which does not extend the last would have two pasts; so the signer refuses, says so, and keeps
what it signed.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from application.audit_log import tiles
from application.audit_log.building import SIZE, WAIT
from application.audit_log.checkpoint import Checkpoint, origin
from application.audit_log.keys import KeyRing
from application.audit_log.note import sign
from application.audit_log.tiles import Hashes, Missing

AT_ONCE = 200  # companies
STATES = f"""
SELECT wanted.company_id, coalesce(({SIZE.format(company="wanted.company_id")}), 0), h.size,
       h.root, h.key_id, h.refused
  FROM unnest(%s::uuid[]) AS wanted(company_id)
  LEFT JOIN audit_log.heads h USING (company_id)
"""  # noqa: S608  # our own text alone
COMPANIES = """
SELECT company_id
  FROM (SELECT company_id FROM audit_log.heads
         UNION
        SELECT company_id FROM audit_log.tiles WHERE level = 0 AND index = 0) AS known
 WHERE company_id > %s
 ORDER BY company_id
 LIMIT %s
"""
SIGNED = """
INSERT INTO audit_log.heads AS h (company_id, size, root, note, key_id, handover, signed_at)
VALUES (%(company_id)s, %(size)s, %(root)s, %(note)s, %(key_id)s, %(handover)s, clock_timestamp())
    ON CONFLICT (company_id) DO UPDATE
   SET size = excluded.size, root = excluded.root, note = excluded.note,
       key_id = excluded.key_id, handover = coalesce(excluded.handover, h.handover),
       signed_at = excluded.signed_at, refused = NULL, refused_at = NULL
 WHERE h.size <= excluded.size
"""
REFUSED = """
UPDATE audit_log.heads SET refused = %(refused)s, refused_at = clock_timestamp()
 WHERE company_id = %(company_id)s AND refused IS DISTINCT FROM %(refused)s
"""
FIRST = UUID(int=0)

Connection = AsyncConnection[Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """A company's tree, and its last signed head, if there is one."""

    company_id: UUID
    size: int
    signed_size: int | None
    signed_root: bytes | None
    key_id: str | None
    refused: str | None

    def head(self, hashes: Hashes) -> bytes | str:
        """The root to sign, or why none is signed: the tree does not extend what was signed."""
        signed = self.signed_size or 0
        if self.size < signed:
            return f"The log has {self.size} events, and {signed} were signed."
        try:
            if signed and hashes.over(self.company_id, (0, signed)) != self.signed_root:
                return f"The first {signed} events are not those that were signed."
            return hashes.over(self.company_id, (0, self.size))
        except Missing:
            return "A part of the tree is missing: `dynamic-tables rebuild audit_log` builds it."


async def sign_heads(connection: Connection, keys: KeyRing, companies: Collection[UUID]) -> None:
    """Sign the heads of some companies, where they are new; compare all of them with the last.

    Raises:
        psycopg.Error: some of them are not signed.
    """
    remaining = sorted(companies)
    while remaining:
        await _sign(connection, keys, remaining[:AT_ONCE])
        del remaining[:AT_ONCE]


async def sign_all(connection: Connection, keys: KeyRing | None) -> int:
    """The same for all companies; how many are refused. Without keys, just compare."""
    after, refused = FIRST, 0
    while ids := await _some(connection, after):
        refused += await _sign(connection, keys, ids)
        after = ids[-1]
    return refused


async def _some(connection: Connection, after: UUID) -> list[UUID]:
    rows = await (await connection.execute(COMPANIES, (after, AT_ONCE))).fetchall()
    return [row[0] for row in rows]


async def _sign(connection: Connection, keys: KeyRing | None, companies: Sequence[UUID]) -> int:
    """How many of them are refused."""
    async with connection.transaction():
        await connection.execute(WAIT)  # nobody else signs, and the trees stand still
        states = await _states(connection, companies)
        hashes = await tiles.read(
            connection,
            [
                (state.company_id, (0, size))
                for state in states
                for size in {state.size, min(state.size, state.signed_size or 0)}
            ],
        )
        heads = [(state, state.head(hashes)) for state in states]
        refused = [(state, head) for state, head in heads if isinstance(head, str)]
        signed = [
            _signed(state, head, keys)
            for state, head in heads
            if keys and isinstance(head, bytes) and _is_due(state, keys)
        ]
        async with connection.cursor() as cursor:
            await cursor.executemany(SIGNED, signed)
            await cursor.executemany(REFUSED, [_refused(*each) for each in refused])
    return len(refused)


async def _states(connection: Connection, companies: Sequence[UUID]) -> list[State]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(STATES.encode(), (list(companies),))
        return [State(*row) for row in await cursor.fetchall()]


def _is_due(state: State, keys: KeyRing) -> bool:
    is_known = state.size == state.signed_size and state.key_id == keys.key_id
    return state.size > 0 and (not is_known or state.refused is not None)


def _signed(state: State, root: bytes, keys: KeyRing) -> dict[str, Any]:
    checkpoint = Checkpoint(origin(keys.current.name, state.company_id), state.size, root)
    signers = keys.signers(state.key_id)
    note = sign(checkpoint.text(), *signers)
    return {
        "company_id": state.company_id, "size": state.size, "root": root, "note": note,
        "key_id": keys.key_id, "handover": note if len(signers) > 1 else None,
    }  # fmt: skip


def _refused(state: State, reason: str) -> dict[str, Any]:
    if reason != state.refused:
        logger.error("audit log: company %s: signs no further head: %s", state.company_id, reason)
    return {"company_id": state.company_id, "refused": reason}
