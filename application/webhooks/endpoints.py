"""Endpoints: made, changed, paused and removed, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from application.consumers import held, registry
from application.consumers.consumer import Connection, Consumer, Terms, behind_webhook
from application.consumers.registry import Definition, Place
from application.webhooks.signing import new_secret
from domain.errors import NotFound

PARTITIONS = 4  # sent at once to one address, of different tables
LEASE = 30  # seconds; an attempt takes 15 at most
ATTEMPTS = 10

INSERT = """
INSERT INTO webhooks.endpoints (
       id, company_id, url, description, secret, paused_at, paused_for, updated_by)
VALUES (%(id)s, %(company_id)s, %(url)s, %(description)s, %(secret)s,
        CASE WHEN %(paused)s THEN now() END, CASE WHEN %(paused)s THEN 'asked' END, %(by)s)
"""
_COLUMNS = """
SELECT id, company_id, url, description, secret, former_secret, former_until, paused_at,
       paused_for, failures, failed_at, failed_of, retry_at, last_error, updated_by, updated_at
  FROM webhooks.endpoints
"""
FIND = f"{_COLUMNS} WHERE company_id = %(company_id)s AND id = %(id)s"
FIND_FOR_UPDATE = f"{FIND} FOR UPDATE"
ALL = f"{_COLUMNS} WHERE company_id = %(company_id)s ORDER BY id"
UPDATE = """
UPDATE webhooks.endpoints
   SET url = %(url)s, description = %(description)s, updated_by = %(by)s, updated_at = now()
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
PAUSE = """
UPDATE webhooks.endpoints
   SET paused_at = coalesce(%(now)s, clock_timestamp()), paused_for = %(reason)s
 WHERE company_id = %(company_id)s AND id = %(id)s AND paused_at IS NULL
"""
RESUME = """
UPDATE webhooks.endpoints
   SET paused_at = NULL, paused_for = NULL, failures = 0, failed_at = NULL, retry_at = NULL
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
ROTATE = """
UPDATE webhooks.endpoints
   SET former_secret = secret, former_until = now() + make_interval(secs => %(overlap)s),
       secret = %(secret)s, updated_by = %(by)s, updated_at = now()
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
REPLAY = """
INSERT INTO webhooks.replays (id, company_id, endpoint_id, position, until, requested_by)
VALUES (%(id)s, %(company_id)s, %(endpoint_id)s, %(position)s, %(until)s, %(by)s)
"""
REPLAYS = """
SELECT count(*) FROM webhooks.replays
 WHERE company_id = %(company_id)s AND endpoint_id = %(id)s
"""

PausedFor = Literal["asked", "gone", "failed", "rewound"]


@dataclass(frozen=True)
class Wanted:
    """What an endpoint is to be: where events go, which, and whether they wait."""

    url: str
    description: str | None = None
    topics: frozenset[str] | None = None
    originator_id: UUID | None = None
    paused: bool = False

    @property
    def terms(self) -> Terms:
        """Of the consumer behind it."""
        return Terms(self.topics, self.originator_id, PARTITIONS, LEASE, ATTEMPTS)


@dataclass(frozen=True)
class Endpoint:
    """One that exists. `failures`: so many in a row; until `retry_at` nothing is sent.

    `failed_of`: the only aggregate whose events failed since something was taken; None = several.
    """

    id: UUID
    company_id: UUID
    url: str
    description: str | None
    secret: bytes
    former_secret: bytes | None
    former_until: datetime | None
    paused_at: datetime | None
    paused_for: PausedFor | None
    failures: int
    failed_at: datetime | None
    failed_of: UUID | None
    retry_at: datetime | None
    last_error: str | None
    updated_by: UUID
    updated_at: datetime

    def is_open(self, now: datetime) -> bool:
        """Whether anything is sent there now."""
        return self.paused_at is None and (self.retry_at is None or self.retry_at <= now)

    def secrets(self, now: datetime) -> Sequence[bytes]:
        """What messages are signed with: while a secret is replaced, with both."""
        if self.former_secret is None or self.former_until is None or self.former_until <= now:
            return [self.secret]
        return [self.secret, self.former_secret]


async def add(
    connection: Connection, id: UUID, company_id: UUID, by: UUID, wanted: Wanted, start: Place
) -> Endpoint:
    """A new endpoint, with a secret of its own.

    Raises:
        Rewound: the start is beyond the end of the store.
    """
    await registry.define(connection, Definition(company_id, None, wanted.terms, by, start), id)
    params = _params(id, company_id) | {
        "url": wanted.url, "description": wanted.description, "secret": new_secret(),
        "paused": wanted.paused, "by": by,
    }  # fmt: skip
    await connection.execute(INSERT.encode(), params)
    return await find(connection, company_id, id)


async def find(
    connection: Connection, company_id: UUID, id: UUID, *, for_update: bool = False
) -> Endpoint:
    """One endpoint.

    Raises:
        NotFound.
    """
    query = FIND_FOR_UPDATE if for_update else FIND
    row = await (await connection.execute(query.encode(), _params(id, company_id))).fetchone()
    if row is None:
        raise NotFound
    return Endpoint(*row)


async def every(connection: Connection, company_id: UUID) -> Sequence[Endpoint]:
    """All endpoints of a company, oldest first."""
    rows = await connection.execute(ALL.encode(), {"company_id": company_id})
    return [Endpoint(*row) for row in await rows.fetchall()]


async def change(
    connection: Connection, endpoint: Endpoint, by: UUID, wanted: Wanted, *, again: bool = False
) -> Endpoint:
    """Send elsewhere, or something else; pause, or go on with all that waited.

    `again`: what waits is due now, also if it was not paused.
    """
    consumer = await behind_webhook(connection, endpoint.company_id, endpoint.id)
    await registry.change(connection, consumer, wanted.terms)
    params = _params(endpoint.id, endpoint.company_id)
    details = {"url": wanted.url, "description": wanted.description, "by": by}
    await connection.execute(UPDATE.encode(), params | details)
    if wanted.paused:
        await pause(connection, endpoint, "asked")
    elif again or endpoint.paused_at or wanted.url != endpoint.url:
        await connection.execute(RESUME.encode(), params)
        await held.replay_all(connection, consumer)
    return await find(connection, endpoint.company_id, endpoint.id)


async def pause(
    connection: Connection, endpoint: Endpoint, reason: PausedFor, now: datetime | None = None
) -> None:
    """Send nothing until somebody says so; nothing is lost meanwhile."""
    params = _params(endpoint.id, endpoint.company_id) | {"reason": reason, "now": now}
    await connection.execute(PAUSE.encode(), params)


async def rotate(connection: Connection, endpoint: Endpoint, by: UUID, overlap: float) -> Endpoint:
    """A new secret; the present one signs as well for `overlap` seconds."""
    params = _params(endpoint.id, endpoint.company_id)
    more = {"secret": new_secret(), "by": by, "overlap": overlap}
    await connection.execute(ROTATE.encode(), params | more)
    return await find(connection, endpoint.company_id, endpoint.id)


async def replay(
    connection: Connection, endpoint: Endpoint, id: UUID, by: UUID, after: int, until: int
) -> None:
    """Send again what it wants of the events above one position, up to another."""
    params: dict[str, Any] = {
        "id": id, "company_id": endpoint.company_id, "endpoint_id": endpoint.id,
        "position": after, "until": until, "by": by,
    }  # fmt: skip
    await connection.execute(REPLAY.encode(), params)


async def head(connection: Connection, endpoint: Endpoint) -> int:
    """The last position of its company."""
    params = {"company_id": endpoint.company_id}
    row = await (await connection.execute(registry.HEAD.encode(), params)).fetchone()
    return int(row[0]) if row else 0


async def replays(connection: Connection, endpoint: Endpoint) -> int:
    """How many such requests are not finished."""
    params = _params(endpoint.id, endpoint.company_id)
    row = await (await connection.execute(REPLAYS.encode(), params)).fetchone()
    return int(row[0]) if row else 0


async def consumer_of(connection: Connection, endpoint: Endpoint) -> Consumer:
    """What knows how far it is."""
    return await behind_webhook(connection, endpoint.company_id, endpoint.id)


def _params(id: UUID, company_id: UUID) -> dict[str, Any]:
    return {"id": id, "company_id": company_id}
