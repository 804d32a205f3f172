"""Six questions, asked after every fault: was anything lost, doubled, hidden or put in doubt?"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from psycopg import AsyncConnection

from api.edition import edition
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.audit_log.anchoring import Trusted
from application.audit_log.export import archive
from application.audit_log.note_keys import VerifierKey
from application.audit_log.selection import Wanted
from application.audit_log.verify import verify
from application.event_store.session import connect
from projections.check import check
from tests.conftest import eventually
from tests.faults.clients import Intents, Poller
from tests.streams import Browser

QUESTIONS = (
    "each acknowledged command is there once",
    "no other is there twice",
    "versions have no holes",
    "followers saw all, in order",
    "read models equal the fold",
    "the log extends what was signed",
)
PATIENCE = 30.0  # seconds until all have caught up
EVENTS = """
SELECT position, event_id::text, coalesce(data ->> 'description', data ->> 'name')
  FROM event_store.readable_events WHERE company_id = %s ORDER BY position
"""
HOLES = """
SELECT count(*) FROM (
    SELECT FROM event_store.events GROUP BY originator_id
    HAVING min(originator_version) <> 1 OR max(originator_version) <> count(*)) AS broken
"""
BEHIND = """
SELECT count(*) FROM projections.positions
 WHERE position < (SELECT max(position) FROM event_store.events)
"""


@dataclass
class Oracle:
    """Of one company of one database. `kept`: the last head that was signed, as an auditor has it.

    `events`: how many there were when it was last asked.
    """

    database: str
    company: UUID
    client: httpx.AsyncClient
    intents: Intents
    browsers: list[Browser]
    pollers: list[Poller]
    folder: Path
    kept: str = ""
    keys: list[VerifierKey] = field(default_factory=list)
    events: int = 0

    async def asked(self) -> list[str]:
        """What is wrong, for each question that has another answer than yes."""
        async with await AsyncConnection.connect(self.database) as owner:
            events = await (await owner.execute(EVENTS, (self.company,))).fetchall()
            holes = await (await owner.execute(HOLES)).fetchone()
        self.events = len(events)
        wrong = [*self._commands(events)]
        if holes != (0,):
            wrong.append(f"{QUESTIONS[2]}: {holes} tables have")
        wrong += await self._followers([(str(position), id) for position, id, _ in events])
        wrong += await self._read_models()
        wrong += await self._log(len(events))
        return wrong

    def _commands(self, events: list[Any]) -> list[str]:
        """The first two questions; a refused command is one that must not be there at all."""
        times = Counter(mark for _, _, mark in events)
        at = {mark: position for position, _, mark in events}
        promised = self.intents.promised
        wrong = []
        lost = [mark for mark, position in promised.items() if at.get(mark) != position]
        twice = [mark for mark in promised if times[mark] > 1]
        if lost or twice:
            wrong.append(f"{QUESTIONS[0]}: {len(lost)} lost, {len(twice)} doubled: {lost[:3]}")
        other = [mark for mark in self.intents.open if times[mark] > 1]
        other += [mark for mark in self.intents.refused if times[mark]]
        if other:
            wrong.append(f"{QUESTIONS[1]}: {other[:3]}")
        return wrong

    async def _followers(self, events: list[tuple[str, str]]) -> list[str]:
        followers = [each.seen for each in (*self.browsers, *self.pollers)]

        async def caught_up() -> bool:
            return all(len(seen) >= len(events) for seen in followers)

        try:
            await eventually(caught_up, PATIENCE)
        except TimeoutError:
            return [f"{QUESTIONS[3]}: of {len(events)} they have {[len(s) for s in followers]}"]
        wrong = [
            number
            for number, seen in enumerate(followers)
            if [(item["position"], item["id"]) for item in seen] != events
        ]
        return [f"{QUESTIONS[3]}: not follower {wrong}"] if wrong else []

    async def _read_models(self) -> list[str]:
        async def current() -> bool:
            async with await AsyncConnection.connect(self.database) as owner:
                return await (await owner.execute(BEHIND)).fetchone() == (0,)

        try:
            await eventually(current, PATIENCE)
        except TimeoutError:
            return [f"{QUESTIONS[4]}: they do not catch up"]
        report = await check(as_role(self.database, PROJECTOR_ROLE))
        return [f"{QUESTIONS[4]}: {report.differences[0]}"] if report.differences else []

    async def _log(self, size: int) -> list[str]:
        """Its root is computed from the events, and holds what every head kept before said."""

        async def signed() -> str:
            answer = await self.client.get("/api/audit/checkpoint")
            return answer.text if answer.status_code == 200 else ""

        async def whole() -> bool:
            note = await signed()
            return bool(note) and int(note.splitlines()[1]) >= size

        try:
            await eventually(whole, PATIENCE)
        except (TimeoutError, httpx.TransportError) as error:
            return [f"{QUESTIONS[5]}: no head of {size} events is signed: {error}"]
        path = self.folder / "log.zip"
        async with await connect(as_role(self.database, API_ROLE)) as connection:
            with path.open("wb") as file:
                async for piece in archive(connection, Wanted(self.company), edition()):
                    file.write(piece)
        trusted = Trusted(tuple(self.keys), self.kept or None)
        report = await asyncio.to_thread(verify, path, trusted)
        if report.status:
            return [f"{QUESTIONS[5]}: {report.problems or report.remarks}"]
        self.kept = await signed()
        return []


async def trusted_keys(client: httpx.AsyncClient) -> list[VerifierKey]:
    """The keys that sign, noted before anything could be altered."""
    answer = (await client.get("/api/audit/keys")).raise_for_status()
    return [VerifierKey.parse(each["key"]) for each in answer.json()["items"]]
