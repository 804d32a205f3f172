"""Opening an archive that may be anything: nothing in it is believed, or takes much memory."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from application.audit_log.archive import (
    CHECKPOINT,
    EVENTS,
    GUIDE,
    KEYS,
    LEAVES,
    MANIFEST,
    Manifest,
)

BLOCK = 1 << 20  # bytes that are read at once
LONGEST_LINE = 16 << 20  # bytes; a request of 256 KiB, escaped twice, is far below
LARGEST = 8 << 20  # bytes of a file that is neither events nor leaves
DIRECTORY = 4 << 20  # bytes
NEEDED = frozenset({EVENTS, LEAVES, CHECKPOINT, KEYS, MANIFEST, GUIDE})
SCHEMA = re.compile(r"schemas/[a-z0-9.-]{1,200}\.json")
END = struct.Struct("<4s8xLLH")  # of the directory: its size and place, and that of a comment
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    struct.error, OverflowError,
)  # fmt: skip


class Altered(Exception):
    """This is not what was exported, or not what was signed."""


class Archive:
    """An archive with just the files that it should have.

    `faults`: what is not as the manifest says, of what was read so far.
    """

    def __init__(self, zip: zipfile.ZipFile) -> None:
        self.faults: list[str] = []
        self._zip = zip
        self._entries = _entries(zip)
        self.manifest = self._manifest()
        listed = self.manifest.files.keys() | {MANIFEST}
        if odd := sorted(listed ^ self._entries.keys()):
            raise Altered(f"the manifest and the files of the archive do not fit: {odd[0]!r}")
        for name, file in self.manifest.files.items():
            size = self._entries[name].file_size
            if size != file.size:
                self.faults.append(f"{name} does not have the size that the manifest says")
            if size > LARGEST and name not in (EVENTS, LEAVES):
                raise Altered(f"{name} is too large")

    def check_rest(self) -> None:
        """Read what nothing else reads, for its faults.

        Raises:
            Altered: something cannot be read.
        """
        for name in sorted(self._entries.keys() - {EVENTS, LEAVES, MANIFEST, KEYS, CHECKPOINT}):
            for _ in self.blocks(name):
                pass

    def text(self, name: str) -> str:
        """A small file.

        Raises:
            Altered: it is no text, or cannot be read.
        """
        try:
            return b"".join(self.blocks(name)).decode()
        except UnicodeDecodeError:
            raise Altered(f"{name} is not UTF-8") from None

    def lines(self) -> Iterator[bytes]:
        """The lines of the events, without their ends.

        Raises:
            Altered: one is too long or has no end; and as `blocks`.
        """
        rest = b""
        for block in self.blocks(EVENTS):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            if len(rest) > LONGEST_LINE:
                raise Altered(f"{EVENTS} has a line of more than {LONGEST_LINE} bytes")
        if rest:
            raise Altered(f"the last line of {EVENTS} has no end")

    def blocks(self, name: str) -> Iterator[bytes]:
        """A file, a piece at a time; whether it is as the manifest says shows at its end.

        Raises:
            Altered: it cannot be read.
        """
        hash = sha256()
        with _readable(name), self._zip.open(self._entries[name]) as opened:
            while block := opened.read(BLOCK):
                hash.update(block)
                yield block
        if hash.hexdigest() != self.manifest.files[name].sha256:
            self.faults.append(f"{name} does not have the SHA-256 that the manifest says")

    def _manifest(self) -> Manifest:
        if self._entries[MANIFEST].file_size > LARGEST:
            raise Altered(f"{MANIFEST} is too large")
        with _readable(MANIFEST), self._zip.open(MANIFEST) as opened:
            content = opened.read(LARGEST)
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))[:200]
            raise Altered(f"{MANIFEST} is wrong at {where!r}: {first['msg']}") from None


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An archive, as long as the block lasts.

    Raises:
        Altered: it is no such archive.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        _check_directory(file)
        with _readable("the archive"):
            zip = zipfile.ZipFile(file)
        with zip:
            yield Archive(zip)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Altered(f"{name} cannot be read as a ZIP: {str(error)[:200]}") from None


def _check_directory(file: IO[bytes]) -> None:
    """The directory is as small as ours are, and nothing follows it: it is read as a whole."""
    length = file.seek(0, 2)
    file.seek(max(0, length - END.size - 20))
    tail = file.read(END.size + 20)
    if len(tail) < END.size or tail[-END.size :][:4] != b"PK\x05\x06":
        raise Altered("this is not a ZIP archive, or not a whole one")
    _, size, _, comment = END.unpack(tail[-END.size :])
    if tail.startswith(b"PK\x06\x07"):  # ZIP64: another record has the true size
        file.seek(min(length, struct.unpack("<8xQ4x", tail[:20])[0]))
        record = file.read(56)
        size = struct.unpack("<40xQ8x", record)[0] if len(record) == 56 else DIRECTORY + 1
    if size > DIRECTORY or comment:
        raise Altered("this is not an export: its directory is too large, or has a comment")
    file.seek(0)


def _entries(zip: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Each file by its name."""
    entries = dict[str, zipfile.ZipInfo]()
    for each in zip.infolist():
        name = each.orig_filename
        if name in entries:
            raise Altered(f"the archive has two files called {name[:200]!r}")
        if name not in NEEDED and not SCHEMA.fullmatch(name):
            raise Altered(f"the archive has a file that does not belong there: {name[:200]!r}")
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Altered(f"{name} is compressed in a way that exports are not")
        entries[name] = each
    if missing := sorted(NEEDED - entries.keys()):
        raise Altered(f"the archive has no {missing[0]}")
    return entries
