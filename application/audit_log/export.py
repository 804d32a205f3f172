"""The log of a company as a stream of bytes: an archive to verify, or lines for a spreadsheet.

Memory does not grow with the log.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from application.audit_log.archive import EVENTS, LEAVES
from application.audit_log.archive_writer import ArchiveWriter
from application.audit_log.published_keys import published
from application.audit_log.selection import Connection, Wanted, selected
from application.audit_log.spreadsheet import HEAD, csv_lines

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Edition:
    """What exports have from the release that makes them: its name, and schemas by topic."""

    software: str
    schemas: Mapping[str, bytes]


async def archive(
    connection: Connection,
    wanted: Wanted,
    edition: Edition,
    progress: Progress = lambda _, __: None,
) -> AsyncGenerator[bytes]:
    """The archive, in pieces; `progress` is told how many events are done, and of how many.

    Raises:
        NothingSigned, psycopg.Error.
    """
    async with selected(connection, wanted) as selection:
        writer = ArchiveWriter(selection.part, edition.software)
        with writer.begin(EVENTS) as file:
            async for rows in selection.events():
                await asyncio.to_thread(writer.add_events, file, rows)
                progress(writer.written, selection.size)
                yield writer.take()
        with writer.begin(LEAVES) as file:
            async for hashes in selection.leaves():
                file.write(hashes)
        keys = await published(connection, wanted.company_id)
        writer.finish(selection.note.encode(), keys, edition.schemas)
        yield writer.take()


async def spreadsheet(
    connection: Connection,
    wanted: Wanted,
    progress: Progress = lambda _, __: None,
) -> AsyncGenerator[bytes]:
    """The events as lines of CSV, in pieces.

    Raises:
        NothingSigned, psycopg.Error.
    """
    async with selected(connection, wanted) as selection:
        yield HEAD
        done = 0
        async for rows in selection.events():
            yield await asyncio.to_thread(csv_lines, rows)
            done += len(rows)
            progress(done, selection.size)
