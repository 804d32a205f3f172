"""The events of a company in global order: page by page, for those who follow them.

Runs on the statements of any connection that may read events; row-level security holds under it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from application.event_store.session import companies, scoped
from application.feed import public_item

SCAN = 20_000  # events looked at for one page; a filter that matches nothing moves on all the same
# What was `seen` is materialized, or each row would ask for the head again.
_PAGE = """
WITH scanned AS MATERIALIZED (
    SELECT position, originator_id, originator_version, topic, state, event_id
      FROM event_store.events
     WHERE company_id = %(company_id)s AND position > %(after)s AND position <= %(until)s{of}
     ORDER BY position
     LIMIT %(scan)s
), matched AS MATERIALIZED (
    SELECT * FROM scanned
     WHERE %(topics)s::text[] IS NULL OR topic = ANY(%(topics)s::text[])
     ORDER BY position
     LIMIT %(limit)s
), seen AS MATERIALIZED (
    SELECT coalesce((SELECT position FROM event_store.events
                      WHERE company_id = %(company_id)s
                      ORDER BY position DESC LIMIT 1), 0) AS head,
           event_store.head() AS store_head,
           (SELECT count(*) = %(scan)s FROM scanned) AS cut,
           (SELECT max(position) FROM scanned) AS last
)
SELECT seen.*, matched.* FROM seen LEFT JOIN matched ON true ORDER BY matched.position
"""
PAGE = scoped(_PAGE.format(of=""))
PAGE_OF_ONE = scoped(_PAGE.format(of=" AND originator_id = %(originator_id)s"))
ONE = scoped("""
SELECT position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE company_id = %(company_id)s AND event_id = %(event_id)s
""")
AT = scoped("""
SELECT event_id FROM event_store.events
 WHERE company_id = %(company_id)s AND position = %(position)s
""")
LATEST = 2**63 - 1

Fetch = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[TupleRow]]]


class Rewound(Exception):
    """The store ends before this position, or has another event there: a backup was restored."""


@dataclass(frozen=True)
class Wanted:
    """Which events of a company: of these topics, None = all, and of this aggregate, None = all."""

    company_id: UUID
    topics: frozenset[str] | None = None
    originator_id: UUID | None = None

    def wants(self, topic: str, originator_id: UUID) -> bool:
        """Whether an event of the company is among them."""
        return (self.topics is None or topic in self.topics) and (
            self.originator_id in (None, originator_id)
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """The next events: rows that a form shows, up to which position was looked, and the heads.

    `head` is the last position of the company, `store_head` that of all companies together.
    """

    rows: Sequence[TupleRow]
    position: int
    head: int
    store_head: int


class EventFeed:
    """Reads the events of companies."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def read(self, wanted: Wanted, after: int, limit: int, until: int = LATEST) -> Batch:
        """The wanted events above a position, up to a limit and a last position.

        Raises:
            Rewound: no event of any company has ever been there.
        """
        rows = await self._fetch(
            PAGE if wanted.originator_id is None else PAGE_OF_ONE,
            {
                "companies": companies(wanted.company_id), "company_id": wanted.company_id,
                "originator_id": wanted.originator_id, "after": after, "until": until,
                "topics": None if wanted.topics is None else sorted(wanted.topics),
                "limit": limit, "scan": limit if wanted.topics is None else SCAN,
            },
        )  # fmt: skip
        head, store_head, cut, last, *_ = rows[0]
        if after > store_head:
            raise Rewound
        found = [row[4:] for row in rows if row[4] is not None]
        if len(found) == limit:
            position = found[-1][0]
        else:
            position = last if cut else max(after, min(head, until))
        return Batch(found, position, head, store_head)

    async def pages(
        self, wanted: Wanted, after: int, until: int, size: int
    ) -> AsyncGenerator[Batch, None]:
        """All the wanted events above a position, to another; one page ahead of whoever takes them.

        Raises:
            As `read`.
        """
        if after >= until:
            return
        ahead = asyncio.create_task(self.read(wanted, after, size, until))
        try:
            while after < until:
                batch = await ahead
                after = batch.position
                if after < until:
                    ahead = asyncio.create_task(self.read(wanted, after, size, until))
                    await asyncio.sleep(0)  # the database is asked before this page is used
                yield batch
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def one(self, company_id: UUID, event_id: UUID) -> dict[str, Any] | None:
        """One event of the company by its id."""
        params = {"event_id": event_id, "company_id": company_id}
        rows = await self._fetch(ONE, params | {"companies": companies(company_id)})
        return public_item(company_id, rows[0]) if rows else None

    async def check(self, company_id: UUID, position: int, event_id: UUID) -> None:
        """Whether the event at a position is still the one that somebody saw there.

        Raises:
            Rewound: it is not.
        """
        params = {"position": position, "company_id": company_id}
        rows = await self._fetch(AT, params | {"companies": companies(company_id)})
        if not rows or rows[0][0] != event_id:
            raise Rewound
