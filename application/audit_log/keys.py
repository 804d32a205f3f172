"""The keys that sign heads: kept in the database, or in a file that only the signer can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import AsyncConnection

from application.audit_log.note import NoteError, SignerKey, VerifierKey

ANY = "SELECT FROM audit_log.keys LIMIT 1"  # a row without columns is false: count the rows
LISTED = """
SELECT name, public_key, created_at, retired_at FROM audit_log.keys ORDER BY number DESC
"""
WITH_SECRETS = """
SELECT name, public_key, private_key, retired_at FROM audit_log.keys ORDER BY number DESC
"""
APPOINT = """
WITH retired AS (
    UPDATE audit_log.keys SET retired_at = now()
     WHERE retired_at IS NULL AND (name, key_id) <> (%(name)s, %(key_id)s)
)
INSERT INTO audit_log.keys AS k (name, key_id, public_key, private_key)
VALUES (%(name)s, %(key_id)s, %(public_key)s, %(private_key)s)
    ON CONFLICT (name, key_id) DO UPDATE SET retired_at = NULL
 WHERE k.retired_at IS NOT NULL
"""
# Whoever had such a key could sign in its name for ever.
FORGET = """
UPDATE audit_log.keys k SET private_key = NULL
 WHERE retired_at IS NOT NULL AND private_key IS NOT NULL
   AND NOT EXISTS (SELECT FROM audit_log.heads h WHERE h.key_id = k.key_id)
"""

Connection = AsyncConnection[Any]


class NoSigner(Exception):
    """There is no key to sign with."""


@dataclass(frozen=True)
class Listed:
    """A key as anybody may see it; `retired_at`: since when it signs no more, None = it does."""

    key: VerifierKey
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True)
class KeyRing:
    """The key that signs, and those before it that we still have, by their ids."""

    current: SignerKey
    former: Mapping[str, SignerKey] = field(default_factory=dict)

    @property
    def key_id(self) -> str:
        """Of the current key."""
        return self.current.verifier.id.hex()

    def signers(self, last: str | None) -> list[SignerKey]:
        """Who signs the head after one of this key: that key signs along, so one can follow."""
        along = self.former.get(last or "")
        return [along, self.current] if along and last != self.key_id else [self.current]


def read_file(path: Path) -> list[SignerKey]:
    """The keys of a file, one a line: the first one signs, those after it did before.

    Raises:
        OSError: the file cannot be read.
        NoteError: it holds something else.
    """
    lines = path.read_text("utf-8", errors="replace").split()
    try:
        found = [SignerKey.parse(line) for line in lines]
    except NoteError as error:
        raise NoteError(f"{path} holds no key for the audit log: {error}") from None
    if not found:
        raise NoteError(f"{path} holds no key for the audit log.")
    return found


async def ensure(connection: Connection, file: Path | None) -> None:
    """That there is a key; only of that in the file the public part is kept.

    Raises:
        OSError, NoteError: the file cannot be read.
    """
    if file is not None:
        await appoint(connection, read_file(file)[0], in_file=True)
    elif not (await connection.execute(ANY)).rowcount:
        await appoint(connection, SignerKey.generate(f"dynamic-tables/{uuid4()}"))


async def appoint(connection: Connection, key: SignerKey, *, in_file: bool = False) -> None:
    """Let a key sign from now on, instead of whichever did."""
    verifier = key.verifier
    params = {
        "name": key.name, "key_id": verifier.id.hex(), "public_key": verifier.public_key,
        "private_key": None if in_file else key.seed,
    }  # fmt: skip
    await connection.execute(APPOINT, params)


async def rotate(connection: Connection) -> VerifierKey:
    """Make a new key in the database, of the same name, that signs from now on."""
    known = await listed(connection)
    name = known[0].key.name if known else f"dynamic-tables/{uuid4()}"
    key = SignerKey.generate(name)
    await appoint(connection, key)
    return key.verifier


async def listed(connection: Connection) -> Sequence[Listed]:
    """All keys there ever were, the newest first."""
    rows = await (await connection.execute(LISTED)).fetchall()
    return [Listed(VerifierKey(name, bytes(key)), *times) for name, key, *times in rows]


async def load(connection: Connection, file: Path | None) -> KeyRing:
    """Who signs; what the file says is also recorded.

    Raises:
        NoSigner: the private part of the current key is not to be had.
        OSError, NoteError: the file cannot be read.
    """
    in_file = read_file(file) if file else []
    if in_file:
        await appoint(connection, in_file[0], in_file=True)
    rows = await (await connection.execute(WITH_SECRETS)).fetchall()
    kept = [SignerKey(name, bytes(seed)) for name, _, seed, _ in rows if seed]
    current = next(((name, bytes(key)) for name, key, _, retired in rows if not retired), None)
    ours = {(key.name, key.verifier.public_key): key for key in (*kept, *in_file)}
    if current is None or current not in ours:
        raise NoSigner(
            "The private part of the current key is in a file that is not named here: set"
            " DYNAMIC_TABLES_AUDIT_KEY_FILE, or run `dynamic-tables audit-key rotate`."
        )
    signer = ours.pop(current)
    return KeyRing(signer, {key.verifier.id.hex(): key for key in ours.values()})


async def forget_retired(connection: Connection) -> None:
    """Forget the private parts of retired keys, once their successor has signed every head."""
    await connection.execute(FORGET)
