"""What happened in a company, event by event: the log, and how it is searched. Run `scoped`."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.recorded import event_classes
from projections.history_queries import ITEM, NEWEST, ORDERS, SCHEMA
from projections.keyset import Keyset
from projections.versions import prefix, words

_RANGE = "position > %(from)s AND position <= %(to)s"
_OF_COMPANY = f"""
SELECT * FROM {SCHEMA}.versions
 WHERE {{conditions}} AND {_RANGE}
 ORDER BY position {{direction}}
 LIMIT %(limit)s + 1
"""  # noqa: S608
_OF_TOPICS = """
SELECT of_topic.*
  FROM unnest(%(topics)s::text[]) AS wanted(topic)
 CROSS JOIN LATERAL ({source}) AS of_topic
 ORDER BY position {direction}
 LIMIT %(limit)s + 1
"""
# Words that many events have are found by looking through the nearest; others by their index, which
# knows no order: all that have them are found, and then put in order.
NEAR = 10_000  # events
_NEAR = f"""
SELECT * FROM (
       SELECT * FROM {SCHEMA}.versions
        WHERE company_id = %(company_id)s AND {_RANGE}
        ORDER BY position {{direction}}
        LIMIT {NEAR}) AS near
 WHERE {{conditions}}
 ORDER BY position {{direction}}
 LIMIT %(limit)s + 1
"""  # noqa: S608
_BY_WORDS = f"""
SELECT * FROM (
       SELECT * FROM {SCHEMA}.searchable
        WHERE company_id = %(company_id)s AND words @@ %(words)s::tsquery
          AND {_RANGE}
       OFFSET 0) AS found
 WHERE {{conditions}}
 ORDER BY position {{direction}}
 LIMIT %(limit)s + 1
"""  # noqa: S608


@dataclass(frozen=True)
class Wanted:
    """Which events of a company's history, and in which order."""

    company_id: UUID
    order: str = "newest"
    actor_id: UUID | None = None
    topics: tuple[str, ...] | None = None
    table_id: UUID | None = None
    after: int | None = None
    until: int | None = None
    text: str | None = None

    def query(self) -> str:
        """The query of a page: a walk along the index that knows most of what is wanted.

        One for words looks through the nearest events alone, and may find too few.
        """
        if self.by_words:
            return self._item(_NEAR)
        if self._by_topic:
            _, direction = ORDERS[self.order]
            return self._item(_OF_TOPICS.format(source=_OF_COMPANY, direction=direction))
        return self._item(_OF_COMPANY)

    def query_by_words(self) -> str:
        """The query of a page that looks everywhere for words."""
        return self._item(_BY_WORDS)

    def _item(self, source: str) -> str:
        _, direction = ORDERS[self.order]
        conditions = "\n   AND ".join(self._conditions())
        found = source.format(conditions=conditions, direction=direction)
        return ITEM.format(source=found, key="position", direction=direction)

    def params(self, after: Keyset | None, limit: int) -> dict[str, Any]:
        """The parameters of a page."""
        first, last = self.after or 0, NEWEST if self.until is None else self.until
        if after is not None and self.order == "newest":
            last = min(last, int(after.key) - 1)
        elif after is not None:
            first = max(first, int(after.key))
        return {
            "company_id": self.company_id, "from": first, "to": last, "limit": limit,
            "actor_id": self.actor_id, "topics": list(self.topics or event_classes()),
            "id": self.table_id, "words": self._words(),
        }  # fmt: skip

    @property
    def by_words(self) -> bool:
        """Whether words are what it is found by; those of a table are all looked through."""
        return self.text is not None and self.table_id is None

    @property
    def _by_topic(self) -> bool:
        """What somebody did, and what is of some types, is found topic by topic."""
        others = self.table_id is not None or self.text is not None
        return not others and (self.actor_id is not None or self.topics is not None)

    def _conditions(self) -> list[str]:
        conditions = {
            "company_id = %(company_id)s": self.table_id is None,
            "id = %(id)s": self.table_id is not None,
            "(company_id = %(company_id)s) IS TRUE": self.table_id is not None,
            "updated_by = %(actor_id)s": self.actor_id is not None,
            "topic = wanted.topic": self._by_topic,
            "topic = ANY(%(topics)s)": self.topics is not None and not self._by_topic,
            "words @@ %(words)s::tsquery": self.text is not None,
        }
        return [condition for condition, holds in conditions.items() if holds]

    def _words(self) -> str | None:
        if self.text is None:
            return None
        ours = prefix(self.company_id)
        return " & ".join(f"'{ours}{word}':*" for word in words(self.text))
