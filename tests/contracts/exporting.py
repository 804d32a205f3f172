"""Random histories of several companies, exported; archives taken apart and put together again."""

import base64
import io
import json
import zipfile
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from api.edition import edition
from api.roles import API_ROLE, as_role
from application.audit_log import keys
from application.audit_log.anchoring import Trusted
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.export import archive
from application.audit_log.merkle import leaf_hash, root
from application.audit_log.note import sign
from application.audit_log.note_keys import SignerKey, VerifierKey
from application.audit_log.selection import LAST, Wanted
from application.audit_log.verify import Report, verify
from application.event_store.session import connect
from tests.contracts.logged import Logged

INSERT = """
INSERT INTO event_store.events (
    position, company_id, originator_id, originator_version, topic, state, salt, event_id,
    recorded_at)
SELECT (row ->> 0)::bigint, (row ->> 1)::uuid, (row ->> 2)::uuid, (row ->> 3)::integer, row ->> 4,
       decode(row ->> 5, 'hex'), decode(row ->> 6, 'hex'), (row ->> 7)::uuid,
       '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => (row ->> 8)::double precision)
  FROM jsonb_array_elements(%s::jsonb) AS row
"""
ERASE = """
UPDATE event_store.events
   SET commitment = sha256(salt || state), state = NULL, salt = NULL
 WHERE originator_id = %s AND topic <> 'TableDef.Erased'
"""
TOPICS = ("TableDef.Renamed", "TableDef.SettingsChanged", "TableDef.DescriptionChanged")


async def happen(log: Logged, random: Random, count: int) -> None:
    """So many events of tables of three companies; some tables are erased in the end."""
    tables = dict[UUID, tuple[UUID, int]]()
    erased, rows, second = list[UUID](), list[list[Any]](), 0.0
    row = await (await log.owner.execute("SELECT event_store.head()")).fetchone()
    start = row[0] if row else 0
    for position in range(start + 1, start + count + 1):
        second += random.choice([0, 0, 0.000001, 1])
        live = [id for id in list(tables)[-20:] if id not in erased]
        id = random.choice(live) if live and random.random() < 0.7 else _id(random)
        company, version = tables.get(id, (random.choice(log.companies), 0))
        topic = random.choice(TOPICS) if version else "TableDef.Created"
        if version > 2 and random.random() < 0.1:
            topic = "TableDef.Erased"
            erased.append(id)
        tables[id] = company, version + 1
        state = _state(random)
        rows.append([
            position, str(company), str(id), version + 1, topic, state.hex(),
            random.randbytes(16).hex(), str(_id(random)), start + second,
        ])  # fmt: skip
    await log.owner.execute(INSERT, (json.dumps(rows),))
    for id in erased:
        await log.tamper(ERASE, id)


def _state(random: Random) -> bytes:
    text = random.choice(["Orders", "Ünï \N{SNOWMAN} 📦", 'a "quoted" \\ one\n\t\x7f', ""])
    said = {"occurredAt": "2026-01-01T00:00:00.000000Z", "data": {"name": text}, "metadata": {}}
    ours = json.dumps(said, ensure_ascii=random.random() < 0.5).encode()
    return random.choice([ours, ours, ours, random.randbytes(random.choice([0, 1, 40]))])


def _id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


async def exported(log: Logged, company: UUID, first: int = 1, last: int = LAST) -> bytes:
    """An archive of a part of a company's log, made as the command line makes it."""
    async with await connect(as_role(log.url, API_ROLE)) as connection:
        pieces = archive(connection, Wanted(company, first, last), edition())
        async with aclosing(pieces):
            return b"".join([piece async for piece in pieces])


@dataclass
class Anchored:
    """What somebody keeps who trusts nobody: the key, and a checkpoint of some time ago."""

    signer: SignerKey
    saved: str | None = None

    @property
    def key(self) -> VerifierKey:
        return self.signer.verifier


async def anchored(log: Logged, company: UUID) -> Anchored:
    """Of a log, as it is now."""
    ring = await keys.load(log.projector, None)
    return Anchored(ring.current, (await log.notes())[company])


@dataclass
class Parts:
    """An archive taken apart; whoever alters it can make much of it fit again."""

    files: dict[str, bytes]
    lines: list[dict[str, Any]] = field(init=False)
    manifest: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = [json.loads(line) for line in self.files["events.jsonl"].splitlines()]
        self.manifest = json.loads(self.files["manifest.json"])

    @classmethod
    def of(cls, content: bytes) -> "Parts":
        with zipfile.ZipFile(io.BytesIO(content)) as zip:
            return cls({name: zip.read(name) for name in zip.namelist()})

    @property
    def company(self) -> UUID:
        return UUID(self.manifest["companyId"])

    def write_lines(self) -> None:
        lines = (json.dumps(e, ensure_ascii=False, separators=(",", ":")) for e in self.lines)
        self.files["events.jsonl"] = "".join(f"{line}\n" for line in lines).encode()

    def leaves(self) -> list[bytes]:
        """The hashes that the lines have now."""
        return [leaf_of(each) for each in self.lines]

    def renumber(self) -> None:
        """Indexes and versions without gaps, positions that increase."""
        versions, position = dict[str, int](), 0
        begin = self.manifest["range"]["fromIndex"]
        for index, line in enumerate(self.lines, begin):
            first = line["version"] if begin else 1
            version = versions[line["aggregateId"]] = (
                versions.get(line["aggregateId"], first - 1) + 1
            )
            position = max(position + 1, int(line["position"]))
            line |= {"index": index, "version": version, "position": str(position)}

    def refit(self, *, size: bool = True) -> None:
        """A manifest and leaves that fit the lines; `size`: the tree is said to be as long."""
        self.write_lines()
        self.files["leaves.bin"] = b"".join(self.leaves())
        begin, span = self.manifest["range"]["fromIndex"], self.manifest["range"]
        span["toIndex"] = begin + len(self.lines)
        positions = [line["position"] for line in self.lines] or [None]
        span["fromPosition"], span["toPosition"] = positions[0], positions[-1]
        self.manifest["events"] = len(self.lines)
        self.manifest["erased"] = sum("erased" in line for line in self.lines)
        self.manifest["counts"] = dict(Counter(line["topic"] for line in self.lines))
        if size:
            self.manifest["tree"] = {"size": len(self.lines), "root": root(self.leaves()).hex()}
            self.manifest["before"] = self.manifest["after"] = []

    def resign(self, signer: SignerKey) -> None:
        """A head of all lines, signed by somebody."""
        head = Checkpoint.parse(self.files["checkpoint.txt"].decode().partition("\n\n")[0] + "\n")
        head = replace(
            head, size=self.manifest["tree"]["size"],
            root=bytes.fromhex(self.manifest["tree"]["root"]),
        )  # fmt: skip
        self.files["checkpoint.txt"] = sign(head.text(), signer).encode()
        self.files["keys.json"] = json.dumps({"items": [{"key": str(signer.verifier)}]}).encode()

    def write(self, path: Path) -> Path:
        """The archive, with a manifest of the files as they are."""
        self.manifest["files"] = {
            name: {"size": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in self.files.items() if name != "manifest.json"
        }  # fmt: skip
        self.files["manifest.json"] = json.dumps(self.manifest).encode()
        with zipfile.ZipFile(path, "w") as zip:
            for name, content in self.files.items():
                zip.writestr(name, content)
        return path


def leaf_of(line: dict[str, Any]) -> bytes:
    """The leaf hash of a line, computed as VERIFY.md tells; whatever is wrong with it."""
    if "erased" in line:
        said = line["commitment"]
    else:
        state = line["state"].encode() if "state" in line else base64.b64decode(line["stateBase64"])
        said = sha256(bytes.fromhex(line["salt"]) + state).hexdigest()
    names = ("companyId", "position", "aggregateId", "version", "topic", "eventId", "recordedAt")
    text = "".join(f"{line[name]}\n" for name in names)
    return leaf_hash(f"dynamic-tables event v1\n{text}{said}\n".encode())


def checked(path: Path, by: Anchored, *, saved: bool = True, key: bool = True) -> Report:
    """What `verify` says to somebody who has kept this."""
    return verify(path, Trusted([by.key] if key else [], by.saved if saved else None))
