"""An archive may be anything: one clear line says what is wrong, and nothing takes much memory."""

import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from application.audit_log.anchoring import Trusted
from application.audit_log.archive import Part, event_line
from application.audit_log.archive_writer import ArchiveWriter
from application.audit_log.checkpoint import Checkpoint, origin
from application.audit_log.exported import NotReadable, read
from application.audit_log.leaf import commitment
from application.audit_log.merkle import root
from application.audit_log.note import sign
from application.audit_log.note_keys import SignerKey
from application.audit_log.verify import ALTERED, UNANCHORED, verify
from application.audit_log.verify_report import text

COMPANY, TABLE = UUID(int=1), UUID(int=2)
SIGNER = SignerKey("golden", bytes(range(32)))
BEGIN = datetime(2026, 11, 22, 9, tzinfo=UTC)
STATES = [b'{"data": {}}', b"\xff\x00", "Ünï".encode(), None]


def rows() -> list[tuple[Any, ...]]:
    """A history that ends with an erasure."""
    found: list[tuple[Any, ...]] = []
    for number, state in enumerate([*STATES, b"{}"]):
        topic = "TableDef.Erased" if number == len(STATES) else "TableDef.Renamed"
        salt = None if state is None else bytes([number] * 16)
        committed = commitment(b"gone" * 4, b"gone") if state is None else None
        moment = BEGIN + timedelta(microseconds=number)
        found.append((
            COMPANY, number * 3 + 1, TABLE, number + 1, topic, UUID(int=100 + number), moment,
            salt, state, committed,
        ))  # fmt: skip
    return found


def golden() -> bytes:
    """A whole archive, made without a database."""
    leaves = [read(line).leaf for line in LINES]
    head = Checkpoint(origin(SIGNER.name, COMPANY), len(leaves), root(leaves))
    writer = ArchiveWriter(Part(COMPANY, 0, len(leaves), len(leaves), head.root, [], []), "test")
    with writer.begin("events.jsonl") as file:
        writer.add_events(file, rows())
    writer.add("leaves.bin", b"".join(leaves))
    keys = json.dumps({"items": [{"key": str(SIGNER.verifier)}]}).encode()
    writer.finish(sign(head.text(), SIGNER).encode(), keys, {"TableDef.Erased": b"{}"})
    return writer.take()


LINES = [event_line(index, row)[:-1] for index, row in enumerate(rows())]
LINE = LINES[0].decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "export.zip"
    found.write_bytes(golden())
    return found


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as zip:
        return {name: zip.read(name) for name in zip.namelist()}


def packed(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zip:
        for name, content in files.items():
            zip.writestr(name, content)


def refused(path: Path) -> str:
    """What is said of it, in one line."""
    report = verify(path, Trusted())
    assert report.status == ALTERED
    said = text(report)
    assert "Traceback" not in said
    assert said.isprintable() or all(line.isprintable() for line in said.split("\n"))
    assert all(len(line) < 1_200 for line in said.split("\n"))
    return report.problems[0]


def test_a_golden_archive_is_sound_and_what_it_should_be(path: Path) -> None:
    report = verify(path, Trusted([SIGNER.verifier]))
    assert (report.status, report.problems) == (0, [])
    assert verify(path, Trusted()).status == UNANCHORED
    manifest = json.loads(files_of(path)["manifest.json"])
    assert manifest["range"] == {
        "fromIndex": 0, "toIndex": 5, "fromPosition": "1", "toPosition": "13",
    }  # fmt: skip
    assert manifest["tree"]["root"] == (
        "7215e008d5715697d996aed1d1bb07c07f2d8f923aef57a094b143c71965c08c"
    )
    assert (manifest["events"], manifest["erased"]) == (5, 1)
    assert "does not prove" in text(report)


def test_its_lines_are_written_as_the_guide_says(path: Path) -> None:
    first, second, *_, erased, last = files_of(path)["events.jsonl"].decode().splitlines()
    assert json.loads(first) == {
        "index": 0, "companyId": str(COMPANY), "position": "1", "aggregateId": str(TABLE),
        "version": 1, "topic": "TableDef.Renamed", "eventId": str(UUID(int=100)),
        "recordedAt": "2026-11-22T09:00:00.000000Z", "salt": "00" * 16, "state": '{"data": {}}',
    }  # fmt: skip
    assert json.loads(second)["stateBase64"] == "/wA="
    assert json.loads(erased)["erased"] is True
    assert "salt" not in json.loads(erased)
    assert json.loads(last)["topic"] == "TableDef.Erased"


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"PK" * 5_000, bytes(100_000)],
    ids=["empty", "letter", "no-entries", "header", "letters", "zeros"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(content)
    assert refused(path)


def test_half_an_archive_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert refused(path)
    path.write_bytes(content + b"more")
    assert refused(path)


@pytest.mark.parametrize(
    "name",
    [
        "../events.jsonl",
        "/etc/passwd",
        "schemas/../x.json",
        "C:\\x",
        "other",
        "schemas/",
        "\x1b[2J",
    ],
)
def test_a_file_that_does_not_belong_there_is_refused(path: Path, name: str) -> None:
    packed(path, files_of(path) | {name: b"{}"})
    assert "does not belong" in refused(path)


def test_a_schema_that_the_manifest_does_not_name_is_refused(path: Path) -> None:
    packed(path, files_of(path) | {"schemas/more.json": b"{}"})
    assert "do not fit" in refused(path)


@pytest.mark.parametrize(
    "name",
    ["events.jsonl", "leaves.bin", "checkpoint.txt", "keys.json", "manifest.json", "VERIFY.md"],
)
def test_a_file_that_is_missing_is_told(path: Path, name: str) -> None:
    packed(path, {n: content for n, content in files_of(path).items() if n != name})
    assert name in refused(path)


def test_a_file_that_is_there_twice_is_refused(path: Path) -> None:
    content = files_of(path)["events.jsonl"]
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as zip:
        zip.writestr("events.jsonl", content)
    assert "two files" in refused(path)


def test_another_compression_is_refused(path: Path) -> None:
    files = files_of(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as zip:
        for name, content in files.items():
            zip.writestr(name, content)
    assert "compressed" in refused(path)


def test_an_encrypted_file_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        content[place + at] |= 1
    path.write_bytes(content)
    assert refused(path)


Wrong = Callable[[dict[str, Any]], Any]
WRONG: dict[str, Wrong] = {
    "a list": lambda _: [],
    "nothing": lambda _: None,
    "a number": lambda _: 1e999,
    "a format": lambda m: m | {"format": "dynamic-tables export v2"},
    "a field more": lambda m: m | {"more": 1},
    "text for a number": lambda m: m | {"events": "5"},
    "true for a number": lambda m: m | {"events": True},
    "a huge number": lambda m: m | {"events": 10**400},
    "less than nothing": lambda m: m | {"range": m["range"] | {"fromIndex": -1}},
    "a range beyond": lambda m: m | {"range": m["range"] | {"toIndex": 2**62}},
    "a tree beyond": lambda m: m | {"tree": m["tree"] | {"size": 2**62}},
    "a range turned round": lambda m: m | {"range": m["range"] | {"fromIndex": 6}},
    "no files": lambda m: m | {"files": {}},
    "files of a list": lambda m: m | {"files": []},
    "a company": lambda m: m | {"companyId": "x" * 36},
    "another company": lambda m: m | {"companyId": str(UUID(int=9))},
    "counts": lambda m: m | {"counts": {"TableDef.Renamed": 5}},
    "erased": lambda m: m | {"erased": 0},
    "a position": lambda m: m | {"range": m["range"] | {"toPosition": "14"}},
    "before": lambda m: m | {"before": ["00" * 32]},
    "hashes": lambda m: m | {"before": ["zz"]},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_manifest_that_is_wrong_is_refused(path: Path, name: str) -> None:
    files = files_of(path)
    manifest = WRONG[name](json.loads(files["manifest.json"]))
    packed(path, files | {"manifest.json": json.dumps(manifest).encode()})
    assert refused(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"{", b'{"a":' * 100_000, b"[" * 1_000_000, b"NaN"]
)
def test_what_is_no_json_is_refused(path: Path, content: bytes) -> None:
    for name in ("manifest.json", "keys.json", "checkpoint.txt"):
        packed(path, files_of(path) | {name: content})
        assert refused(path)
        path.write_bytes(golden())


@pytest.mark.parametrize(
    "line",
    [
        "", "null", "[]", "1", "{}", "x", '"x"', LINE.replace(":", ": "), LINE[:-1],
        LINE + " ", " " + LINE,
        LINE.replace('"version":1', '"version":1.0'), LINE.replace('"version":1', '"version":"1"'),
        LINE.replace('"version":1', '"version":true'), LINE.replace('"version":1', '"version":01'),
        LINE.replace('"version":1', '"version":0'), LINE.replace('"version":1', '"version":-1'),
        LINE.replace('"version":1', f'"version":{"9" * 5_000}'),
        LINE.replace('"version":1', '"version":1,"version":1'),
        LINE.replace('"index":0', '"index":false'), LINE.replace('"index":0', '"index":null'),
        LINE.replace('"position":"1"', '"position":1'),
        LINE.replace('"position":"1"', '"position":"01"'),
        LINE.replace('"position":"1"', '"position":"\\u0031"'),
        LINE.replace('"position":"1"', '"position":"\N{ARABIC-INDIC DIGIT ONE}"'),
        LINE.replace("TableDef.Renamed", "A\\nB"), LINE.replace("TableDef.Renamed", ""),
        LINE.replace("TableDef.Renamed", "x" * 300),
        LINE.replace("TableDef.Renamed", "\N{SNOWMAN}"),
        LINE.replace(str(COMPANY), str(COMPANY).upper().replace("0", "A")),
        LINE.replace("09:00:00.000000Z", "09:00:00Z"), LINE.replace('"salt":"00', '"salt":" 0'),
        LINE.replace('"salt":"00', '"salt":"'), LINE.replace('"salt":"00', '"salt":"0000'),
        LINE.replace('"salt":"' + "00" * 16, '"salt":"' + "AA" * 16),
        LINE.replace('"salt":"' + "00" * 16 + '"', '"salt":null'),
        LINE.replace('"state":', '"stateBase64":'), LINE.replace('"state":', '"other":'),
        LINE.replace('"{\\"data\\": {}}"', '{"data":{}}'),
        LINE.replace('"{\\"data', '"\\ud800{\\"data'),
        LINE.partition(',"salt"')[0] + ',"erased":1,"commitment":"' + "0" * 64 + '"}',
        LINE.partition(',"salt"')[0] + ',"erased":true,"commitment":""}',
        LINE.partition(',"salt"')[0] + ',"erased":false,"commitment":"' + "0" * 64 + '"}',
        LINE[:-1] + ',"erased":true}', '{"a":' * 10_000, "[" * 100_000,
    ],
)  # fmt: skip
def test_a_line_that_is_not_as_exports_write_it_is_not_read(line: str) -> None:
    with pytest.raises(NotReadable):
        read(line.encode("utf-8", "surrogatepass"))


def test_a_line_that_is_too_long_is_refused_with_little_memory(path: Path) -> None:
    _bomb(path, "events.jsonl", b"x", 40_000_000)
    assert "line of more than" in _with_little_memory(path)


def test_files_that_unpack_to_very_much_are_refused_with_little_memory(path: Path) -> None:
    for name in ("manifest.json", "VERIFY.md"):
        _bomb(path, name, b"\0", 40_000_000)
        assert "too large" in _with_little_memory(path)
        path.write_bytes(golden())


def test_leaves_beyond_all_events_are_not_unpacked(path: Path) -> None:
    _bomb(path, "leaves.bin", b"\0", 40_000_000)
    assert refused(path)


def test_empty_lines_without_end_are_not_read(path: Path) -> None:
    _bomb(path, "events.jsonl", b"\n", 40_000_000)
    assert "event 0" in _with_little_memory(path)


def test_a_directory_without_end_is_not_read(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<L", 2**31)
    path.write_bytes(content)
    assert "directory" in refused(path)


def _bomb(path: Path, name: str, byte: bytes, size: int) -> None:
    """An archive of which one file unpacks to so many bytes; the manifest tells their size."""
    files = files_of(path)
    if name != "manifest.json":
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name]["size"] = size
        files["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip:
        for each, content in files.items():
            with zip.open(each, "w") as file:
                if each != name:
                    file.write(content)
                    continue
                for _ in range(size // 10_000_000):
                    file.write(byte * 10_000_000)


def _with_little_memory(path: Path) -> str:
    tracemalloc.start()
    try:
        said = refused(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    return said
