"""Pages of a list by where the last one ended: stable while rows change, page 1,000 as fast as 1.

Postgres builds the JSON of a page; nobody parses it on the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

State = Literal["active", "deleted", "all"]

TIME = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_PAGE = """
WITH page AS (
    SELECT *, row_number() OVER (ORDER BY {key} {direction}, id {direction}) AS place
      FROM (
        SELECT of_run.*
          FROM unnest(%(gone)s::boolean[]) AS wanted(gone){runs}
         CROSS JOIN LATERAL (
            SELECT {columns} FROM {source}
             WHERE {owned}{gone} = wanted.gone{run}
               AND ({key}, id) {beyond} ({after_key}, %(after_id)s::uuid){last}{filters}
             ORDER BY {key} {direction}, id {direction}
             LIMIT %(limit)s + 1) AS of_run
         ORDER BY {key} {direction}, id {direction}
         LIMIT %(limit)s + 1) AS nearest
)
SELECT coalesce(string_agg({json}::text, ',' ORDER BY place)
                FILTER (WHERE place <= %(limit)s), ''),
       count(*) > %(limit)s,
       (SELECT {key}::text FROM page WHERE place = %(limit)s),
       (SELECT id FROM page WHERE place = %(limit)s),
       {position}
  FROM page {row}
"""
_COUNT = """
SELECT count(*) FROM {source}
 WHERE {owned}{gone} = ANY(%(gone)s){filters}
"""
_BOUNDS = {"text": ("", "\U0010ffff"), "timestamptz": ("-infinity", "infinity")}
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_GONE: Mapping[State, list[bool]] = {
    "active": [False], "deleted": [True], "all": [False, True],
}  # fmt: skip


@dataclass(frozen=True)
class Keyset:
    """Where a page begins: behind the row with this sort key and id."""

    key: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items as comma-separated JSON, and where the next page begins.

    `position`: which one it shows; None = it is from no read model.
    """

    items: str
    more: bool
    last_key: str | None
    last_id: UUID | None
    position: int | None

    @property
    def next(self) -> Keyset | None:
        """Where the next page begins, or None."""
        if not self.more or self.last_key is None or self.last_id is None:
            return None
        return Keyset(self.last_key, self.last_id)


@dataclass(frozen=True)
class SortKey:
    """What a list is sorted by: a column, and its type (text or timestamptz).

    `last`: an expression that no row's key is beyond. `run`: the rows lie in several runs, each
    sorted, one for each value of this column; `runs`: a FROM item of the values that are wanted.
    """

    column: str
    type: str
    last: str | None = None
    run: str | None = None
    runs: str | None = None


@dataclass(frozen=True)
class Listing:
    """A list that can be paged: where its rows are, and how one looks as JSON.

    `source`: the table, whose rows have an `id`. `json`: an expression on a row, which it calls
    `row`; it needs `columns`, in which `{key}` is what the list is sorted by. `gone`: an expression
    that says whether a row is deleted. `owned`: whether every row is a company's,
    `%(company_id)s`.
    """

    source: str
    json: str
    gone: str
    sorts: Mapping[str, SortKey]
    position: str = "NULL::bigint"
    filters: str = ""
    owned: bool = True
    columns: str = "*"
    row: str = "t"

    @property
    def queries(self) -> Mapping[str, str]:
        """The query of a page, by order; `-name` is `name` from the end."""
        return {sort: self._page(sort) for name in self.sorts for sort in (name, f"-{name}")}

    @property
    def count(self) -> str:
        """The query that counts the whole list."""
        return _COUNT.format(
            source=self.source, owned=self._owned, gone=self.gone, filters=self.filters
        )

    def params(self, sort: str, state: State, after: Keyset | None, limit: int) -> dict[str, Any]:
        """The parameters of a page, but for those of the filters and `company_id`."""
        after = after or self._beginning(sort)
        return {
            "gone": gone(state), "after_key": after.key, "after_id": after.id, "limit": limit,
        }  # fmt: skip

    @property
    def _owned(self) -> str:
        return "company_id = %(company_id)s AND " if self.owned else ""

    def _page(self, sort: str) -> str:
        by = self.sorts[sort.removeprefix("-")]
        down = sort.startswith("-")
        after_key = f"%(after_key)s::{by.type}"
        if down and by.last:  # where the walk begins; the other way round, where it ends
            after_key = f"least({after_key}, {by.last})"
        return _PAGE.format(
            source=self.source, columns=self.columns.format(key=by.column), json=self.json,
            gone=self.gone,
            filters=self.filters, position=self.position, owned=self._owned, row=self.row,
            key=by.column,
            runs=f" CROSS JOIN {by.runs} AS wanted_run(run)" if by.runs else "",
            run=f" AND {by.run} = wanted_run.run" if by.run else "",
            last=f" AND {by.column} <= {by.last}" if by.last and not down else "",
            after_key=after_key,
            beyond="<" if down else ">", direction="DESC" if down else "ASC",
        )  # fmt: skip

    def _beginning(self, sort: str) -> Keyset:
        first, last = _BOUNDS[self.sorts[sort.removeprefix("-")].type]
        return Keyset(last, _LAST_ID) if sort.startswith("-") else Keyset(first, _FIRST_ID)


def gone(state: State) -> Sequence[bool]:
    """Which rows a state means, as the parameter `gone`: whether they are deleted."""
    return _GONE[state]
