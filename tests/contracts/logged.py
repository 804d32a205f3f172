"""What a tamper-evident log must say, computed without it, and somebody who tampers."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection

from api.roles import PROJECTOR_ROLE, as_role
from application.audit_log import keys, merkle
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.leaf import commitment, leaf_data
from application.audit_log.log import AuditLog
from application.event_store.session import connect

INSERT = """
INSERT INTO event_store.events (
    position, company_id, originator_id, originator_version, topic, state, salt, commitment,
    event_id, recorded_at)
SELECT coalesce(max(position), 0) + 1, %s, gen_random_uuid(), 1, %s, %s, %s, %s, gen_random_uuid(),
       coalesce(max(recorded_at), '2026-01-01Z') + interval '1.000001 s'
  FROM event_store.events
"""
EVENTS = """
SELECT company_id, position, originator_id, originator_version, topic, event_id, recorded_at,
       salt, state, commitment
  FROM event_store.events ORDER BY position
"""
HEADS = "SELECT company_id, note, refused FROM audit_log.heads"


@dataclass
class Logged:
    """A database with a log. `owner`: a superuser; `projector`: a connection as the log has it."""

    url: str
    owner: AsyncConnection[Any]
    projector: AsyncConnection[Any]
    log: AuditLog
    companies: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(3)])

    @property
    def conninfo(self) -> str:
        """As the log has it."""
        return as_role(self.url, PROJECTOR_ROLE)

    async def happen(self, count: int = 1, company: UUID | None = None, seed: int = 1) -> None:
        """Events of one company or of all, some of which nobody can read."""
        random = Random(seed)
        async with self.owner.cursor() as cursor:
            await cursor.executemany(
                INSERT,
                [(company or random.choice(self.companies), *_event(random)) for _ in range(count)],
            )

    async def tamper(self, statement: str, *params: Any) -> None:
        """As somebody with full rights who hides it."""
        async with self.owner.transaction():
            await self.owner.execute("SET LOCAL session_replication_role = replica")
            await self.owner.execute(statement.encode(), params or None)

    async def keep(self) -> None:
        """Let the log do all there is to do."""
        while await self.log.step(self.projector):
            pass

    async def leaves(self) -> dict[UUID, list[bytes]]:
        """The hashes of all leaves by company, from the events alone."""
        found = defaultdict[UUID, list[bytes]](list)
        rows = await (await self.owner.execute(EVENTS)).fetchall()
        for company, *header, salt, state, committed in rows:
            said = committed or b"" if state is None else commitment(salt, state)
            found[company].append(merkle.leaf_hash(leaf_data(company, *header, said)))
        return found

    async def roots(self) -> dict[UUID, tuple[int, bytes]]:
        """Size and root of each company's tree, from the events alone."""
        return {id: (len(each), merkle.root(each)) for id, each in (await self.leaves()).items()}

    async def notes(self) -> dict[UUID, str]:
        """The last note of each company."""
        rows = await (await self.owner.execute(HEADS)).fetchall()
        return {company: note for company, note, _ in rows}

    async def signed(self) -> dict[UUID, tuple[int, bytes]]:
        """Size and root of each company's tree, from the signed heads alone."""
        known = [each.key for each in await keys.listed(self.owner)]
        heads = {id: Checkpoint.open(note, known) for id, note in (await self.notes()).items()}
        assert all(head.origin.endswith(f"/companies/{id}") for id, head in heads.items())
        return {id: (head.size, head.root) for id, head in heads.items()}

    async def is_signed(self) -> bool:
        """Whether the heads are those of all events there are."""
        return await self.signed() == await self.roots()

    async def refused(self) -> set[UUID]:
        """Of whom no further head is signed."""
        rows = await (await self.owner.execute(HEADS)).fetchall()
        return {company for company, _, refused in rows if refused}


@asynccontextmanager
async def logged(url: str, **options: Any) -> AsyncIterator[Logged]:
    """A log on a migrated database."""
    conninfo = as_role(url, PROJECTOR_ROLE)
    async with (
        await AsyncConnection.connect(url, autocommit=True) as owner,
        await connect(conninfo) as projector,
    ):
        yield Logged(url, owner, projector, AuditLog(conninfo, **options))


def _event(random: Random) -> tuple[str, bytes | None, bytes | None, bytes | None]:
    """Topic, state, salt and commitment: of any kind that there may be."""
    salt, state = random.randbytes(16), random.randbytes(random.choice([0, 1, 300]))
    return random.choice([
        ("TableDef.Renamed", b'{"data": {}}', salt, None),
        ("Nobody.Knows\n\N{SNOWMAN}", state, salt, None),
        ("TableDef.Created", state, None, None),
        ("TableDef.Created", None, None, commitment(salt, state)),
        ("TableDef.Created", None, None, None),
    ])  # fmt: skip
