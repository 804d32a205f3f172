"""Events that are sent again because somebody asked for it: one, or a range."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from application.consumers.consumer import Connection, Consumer, Row, Statements
from application.webhooks.attempts import Attempt
from application.webhooks.endpoints import ATTEMPTS, LEASE, Endpoint

TAKE = """
UPDATE webhooks.replays
   SET retry_at = %(now)s + make_interval(secs => %(lease)s)
 WHERE company_id = %(company_id)s
   AND id = (SELECT id FROM webhooks.replays
              WHERE company_id = %(company_id)s AND endpoint_id = %(endpoint_id)s
                AND (retry_at IS NULL OR retry_at <= %(now)s)
              ORDER BY id LIMIT 1
                FOR UPDATE SKIP LOCKED)
RETURNING id, position, until, attempts
"""
NEXT = """
SELECT position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE company_id = %(company_id)s AND position > %(after)s AND position <= %(until)s
   AND (%(topics)s::text[] IS NULL OR topic = ANY(%(topics)s::text[]))
   AND (%(originator_id)s::uuid IS NULL OR originator_id = %(originator_id)s::uuid)
 ORDER BY position
 LIMIT 1
"""
MOVE = """
UPDATE webhooks.replays SET position = %(position)s, attempts = 0, retry_at = NULL
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
WAIT = """
UPDATE webhooks.replays
   SET attempts = %(attempts)s, retry_at = %(now)s + make_interval(secs => %(seconds)s)
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
FINISH = "DELETE FROM webhooks.replays WHERE company_id = %(company_id)s AND id = %(id)s"


@dataclass(frozen=True)
class Replay:
    """The next event of one, and how often it was tried."""

    id: UUID
    row: Row
    attempts: int


class Replays:
    """The replays of one endpoint, in a transaction of the caller's."""

    def __init__(self, connection: Connection, endpoint: Endpoint, now: datetime) -> None:
        params = {"company_id": endpoint.company_id, "endpoint_id": endpoint.id, "now": now}
        self._sql = Statements(connection, params)

    async def take(self, consumer: Consumer) -> Replay | None:
        """The next event that is to be sent again, for nobody else for a while."""
        while taken := await self._sql.all(TAKE, lease=LEASE):
            id, position, until, attempts = taken[0]
            wanted = consumer.terms.params()
            rows = await self._sql.all(NEXT, **wanted, after=position, until=until)
            if rows:
                return Replay(id, rows[0], attempts)
            await self._sql.run(FINISH, id=id)
        return None

    async def succeeded(self, replay: Replay) -> None:
        """Go on with the next event."""
        await self._sql.run(MOVE, id=replay.id, position=replay.row[0])

    async def failed(self, replay: Replay, attempt: Attempt) -> None:
        """Try again later, but not for ever."""
        attempts = replay.attempts + 1
        if attempts >= ATTEMPTS:
            await self._sql.run(FINISH, id=replay.id)
        else:
            seconds = attempt.patience(attempts)
            await self._sql.run(WAIT, id=replay.id, attempts=attempts, seconds=seconds)
