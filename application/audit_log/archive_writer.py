"""Writing an archive as a stream: nothing of it is held but what was not taken yet."""

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

from application.audit_log.archive import (
    CHECKPOINT,
    GUIDE,
    KEYS,
    MANIFEST,
    File,
    Manifest,
    Part,
    Range,
    TreeHead,
    event_line,
    schema_name,
)
from application.feed import rfc3339

COMPRESSION = 3  # of 9; more takes twice the time for a tenth of the size


class _Outlet:
    """A file that cannot be sought in: what is written waits until it is taken."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nowhere to flush to."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken


@dataclass
class ArchiveWriter:
    """Writes an archive, a piece at a time; `take` what is done of it after each step."""

    part: Part
    software: str
    files: dict[str, File] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    erased: int = 0
    written: int = 0
    positions: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(
            self._outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION
        )
        self._now = datetime.now(UTC)

    def take(self) -> bytes:
        """What was written since the last time."""
        return self._outlet.take()

    def begin(self, name: str) -> "FileWriter":
        """Begin a file; it must be finished before the next one."""
        return FileWriter(self, name, self._zip.open(name, "w", force_zip64=True))

    def add(self, name: str, content: bytes) -> None:
        """A whole file."""
        with self.begin(name) as file:
            file.write(content)

    def add_events(self, file: "FileWriter", rows: Sequence[Sequence[Any]]) -> None:
        """The next events, as `event_line` takes them."""
        index = self.part.begin + self.written
        file.write(b"".join(event_line(index + n, row) for n, row in enumerate(rows)))
        self.written += len(rows)
        self.counts.update(row[4] for row in rows)
        self.erased += sum(row[8] is None for row in rows)
        if rows:
            first = self.positions[0] if self.positions else rows[0][1]
            self.positions = (first, rows[-1][1])

    def finish(self, checkpoint: bytes, keys: bytes, schemas: Mapping[str, bytes]) -> None:
        """All that follows the events and leaves; `schemas` by topic, of those that are known."""
        for topic in sorted(self.counts.keys() & schemas.keys()):
            self.add(schema_name(topic), schemas[topic])
        self.add(CHECKPOINT, checkpoint)
        self.add(KEYS, keys)
        self.add(GUIDE, files("application.audit_log").joinpath(GUIDE).read_bytes())
        self.add(MANIFEST, self._manifest().document())
        self._zip.close()

    def _manifest(self) -> Manifest:
        part = self.part
        first, last = map(str, self.positions) if self.positions else (None, None)
        return Manifest(
            company_id=str(part.company_id),
            range=Range(
                from_index=part.begin, to_index=part.end,
                from_position=first, to_position=last,
            ),
            tree=TreeHead(size=part.size, root=part.root.hex()),
            before=_hex(part.before),
            after=_hex(part.after),
            events=self.written,
            erased=self.erased,
            counts=dict(sorted(self.counts.items())),
            files=self.files,
            software=self.software,
            created_at=rfc3339(self._now),
        )  # fmt: skip


class FileWriter:
    """One file of an archive that is being written."""

    def __init__(self, archive: ArchiveWriter, name: str, file: Any) -> None:
        self._archive, self._name, self._file = archive, name, file
        self._size, self._hash = 0, sha256()

    def write(self, data: bytes) -> None:
        """Its next bytes."""
        self._size += len(data)
        self._hash.update(data)
        self._file.write(data)

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._archive.files[self._name] = File(size=self._size, sha256=self._hash.hexdigest())


def _hex(hashes: Iterable[bytes]) -> list[str]:
    return [each.hex() for each in hashes]
