"""What every projection has: a schema of its own, a position in it, and batches that move both."""

import re
from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files
from typing import Any, Protocol

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from domain.recorded import Recorded

POSITION = "SELECT position FROM projections.positions WHERE projection = %s"
START = """
INSERT INTO projections.positions (projection, position) VALUES (%s, 0)
ON CONFLICT (projection) DO NOTHING
"""


INDEXED = re.compile(rb"^(?:CREATE (?:UNIQUE )?INDEX \w+\s+ON|ALTER TABLE) (\w+)", re.MULTILINE)

Statements = Sequence[tuple[str, Sequence[Any]]]  # each with its parameters


class Filling(Protocol):
    """How rows are made of all events, those of one aggregate after those of another.

    `whole`: the tables that lack nothing when `finish` begins, which can be indexed meanwhile.
    """

    whole: Collection[str]

    def fold(self, events: Sequence[Recorded]) -> Statements:
        """What writes the rows that follow from the next events.

        It needs no database: it is called in a thread while what came before is written.
        """

    def rest(self) -> Statements:
        """What writes the rows that were held back until all events are there."""

    async def finish(self, connection: AsyncConnection) -> None:
        """Write what follows from all the rows."""


class Projection(Protocol):
    """A read model: its name and version, its tables, and how events change them.

    `nouns`: the aggregates whose events it is shown. `acts`: it keeps no rows of its own but sends
    commands, and so may skip nothing that it cannot apply.
    """

    name: str
    version: int
    nouns: frozenset[str]
    acts: bool

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Write what these events change, in global order; the caller holds the transaction."""

    async def recover(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """The same of aggregates that were parked, when others have moved on since."""

    def filling(self) -> Filling | None:
        """How to build it anew; None = as it follows, event by event in global order."""


async def execute(connection: AsyncConnection, statements: Statements) -> None:
    """Execute statements, one after the other."""
    for query, params in statements:
        await connection.execute(query.encode(), params)


def live_schema(projection: "Projection | type[Projection]") -> str:
    """The schema that queries read, such as `table_defs_v1`."""
    return f"{projection.name}_v{projection.version}"


def channel(schema: str) -> str:
    """Where the projection of a schema announces its position."""
    return f"dynamic_tables_{schema}"


async def connect(
    conninfo: str,
    schema: str,
    options: str = "",
    kind: type[AsyncConnection] = AsyncConnection,
) -> AsyncConnection:
    """A connection whose unqualified names are the tables of a projection's schema.

    Commits do not wait for the disk: what a crash takes back can be projected again, rows and
    position together; and who acts, does so once for each event, however often it is shown one.
    `options` win over those of the connection string.
    """
    options = f"-c search_path={schema} -c synchronous_commit=off {options}".strip()
    given = psycopg.conninfo.conninfo_to_dict(conninfo).get("options") or ""
    return await kind.connect(
        make_conninfo(conninfo, options=f"{given} {options}"),
        autocommit=True,
        prepare_threshold=0,
        connect_timeout=2,
    )


async def create(
    connection: AsyncConnection,
    projection: "Projection | type[Projection]",
    schema: str,
    *,
    indexed: bool,
) -> None:
    """Create the empty tables of a projection, if they do not exist, and start it at zero."""
    async with connection.transaction():
        known = await connection.execute(POSITION, (schema,))
        if await known.fetchone():
            return
        if not projection.acts:
            await _create_tables(connection, projection.name, schema)
        if indexed and not projection.acts:
            await connection.execute(_script(f"{projection.name}_indexes.sql"), prepare=False)
        await connection.execute(START, (schema,))


async def _create_tables(connection: AsyncConnection, script: str, schema: str) -> None:
    name = sql.Identifier(schema)
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
    await connection.execute(_script(f"{script}.sql"), prepare=False)
    await connection.execute(
        sql.SQL(
            "GRANT USAGE ON SCHEMA {0} TO dynamic_tables_api;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO dynamic_tables_api"
        ).format(name),
        prepare=False,
    )


def indexes(projection: Projection) -> Sequence[bytes]:
    """What creates the indexes of a projection that was filled without them."""
    return _script(f"{projection.name}_indexes.sql").split(b";\n")


def is_on(statement: bytes, tables: Collection[str]) -> bool:
    """Whether it creates an index on one of these tables."""
    found = INDEXED.search(statement)
    return found is not None and found[1].decode() in tables


async def create_indexes(connection: AsyncConnection, indexes: Iterator[bytes]) -> None:
    """Create indexes until there are no more; several connections may share them."""
    for statement in indexes:
        await connection.execute(statement, prepare=False)


def _script(name: str) -> bytes:
    return files("projections").joinpath(name).read_bytes()
