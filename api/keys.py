"""API keys: how they look, what is kept of them, and what the command line does with them."""

import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from api.ids import new_id
from projections.folding import sort_key

INSERT = """
INSERT INTO access.api_keys (
       id, company_id, role, scopes, label, secret_hash, expires_at, created_by)
VALUES (%(id)s, %(company_id)s, %(role)s, %(scopes)s, %(label)s, %(secret_hash)s, %(expires_at)s,
        %(created_by)s)
ON CONFLICT (id) DO NOTHING
"""
NAME = """
INSERT INTO access.people (company_id, id, kind, name, name_folded)
VALUES (%(company_id)s, %(id)s, 'key', %(label)s, %(name_folded)s)
ON CONFLICT (company_id, id) DO NOTHING
"""
LIST = """
SELECT id, company_id, coalesce(role, array_to_string(scopes, ' ')), label,
       least(expires_at, retires_at), revoked_at, last_used_at
  FROM access.api_keys ORDER BY created_at
"""
FIND = """
SELECT company_id, role, scopes, label, expires_at FROM access.api_keys
 WHERE id = %s AND revoked_at IS NULL
   AND coalesce(least(expires_at, retires_at) > now(), true)
   FOR UPDATE
"""
REVOKE = """
UPDATE access.api_keys SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL
"""
RETIRE = """
UPDATE access.api_keys
   SET retires_at = least(retires_at, now() + make_interval(secs => %(overlap)s))
 WHERE id = %(id)s
"""
ADMITS = """
SELECT FROM access.api_keys WHERE id = %s AND secret_hash = %s AND revoked_at IS NULL
"""
COMPANIES = "SELECT id FROM event_store.containers WHERE id = company_id"

OLD_SECRET, SECRET, CHECKSUM = 40, 48, 8  # characters


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment at which its secret is known."""

    id: UUID
    secret: str

    @classmethod
    def make(cls) -> "NewKey":
        """A key that nobody has seen."""
        id, random = new_id(), secrets.token_hex(OLD_SECRET // 2)
        return cls(id, random + checksum(id, random))

    @classmethod
    def parse(cls, token: str) -> "NewKey":
        """A key from its text: `dtk_<id>_<secret>`, hexadecimal.

        The last eight characters are the CRC-32 of all before them, so that a scanner for leaked
        secrets knows a key when it sees one; keys of the first release have none.

        Raises:
            ValueError: this is no key.
        """
        prefix, id_part, secret = token.strip().split("_")
        if prefix != "dtk" or len(secret) not in (OLD_SECRET, SECRET):
            raise ValueError(prefix)
        id = UUID(hex=id_part)
        if len(secret) == SECRET and secret[-CHECKSUM:] != checksum(id, secret[:-CHECKSUM]):
            raise ValueError("the checksum is wrong")
        return cls(id, secret)

    def __str__(self) -> str:
        return f"dtk_{self.id.hex}_{self.secret}"


def checksum(id: UUID, random: str) -> str:
    """The CRC-32 (ISO 3309) of what a key's text has before it, as eight hexadecimal digits."""
    return f"{binascii.crc32(f'dtk_{id.hex}_{random}'.encode()):08x}"


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret of full entropy."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def row(
    key: NewKey,
    company_id: UUID | None,
    role: str | None,
    label: str,
    expires_at: datetime | None = None,
    scopes: Sequence[str] | None = None,
    created_by: UUID | None = None,
) -> dict[str, Any]:
    """The parameters of INSERT and NAME."""
    return {
        "id": key.id,
        "company_id": company_id,
        "role": role,
        "scopes": None if scopes is None else sorted(scopes),
        "label": label,
        "name_folded": sort_key(label),
        "secret_hash": hash_secret(key.secret),
        "expires_at": expires_at,
        "created_by": created_by,
    }


async def store(
    connection: AsyncConnection,
    key: NewKey,
    company_id: UUID | None,
    role: str | None,
    label: str,
    expires_at: datetime | None = None,
    scopes: Sequence[str] | None = None,
) -> None:
    """Let a key in from now on; storing it again changes nothing."""
    parameters = row(key, company_id, role, label, expires_at, scopes)
    async with connection.transaction():
        await connection.execute(INSERT, parameters)
        if company_id:
            await connection.execute(NAME, parameters)


async def admits(connection: AsyncConnection, key: NewKey) -> bool:
    """Whether this key is known and was not revoked."""
    found = await connection.execute(ADMITS, (key.id, hash_secret(key.secret)))
    return found.rowcount == 1


async def listed(connection: AsyncConnection) -> Sequence[Any]:
    """All keys, oldest first, without their secrets."""
    return await (await connection.execute(LIST)).fetchall()


async def revoke(connection: AsyncConnection, id: UUID) -> bool:
    """Let a key in no more; False if there is no such key, or it was revoked before."""
    return (await connection.execute(REVOKE, (id,))).rowcount == 1


async def rotate(connection: AsyncConnection, id: UUID, overlap: float) -> NewKey | None:
    """A new key for whoever has this one, which goes on for `overlap` seconds.

    None if there is no such key, or it was revoked or has expired.
    """
    async with connection.transaction():
        found = await (await connection.execute(FIND, (id,))).fetchone()
        if found is None:
            return None
        company_id, role, scopes, label, expires_at = found
        key = NewKey.make()
        await store(connection, key, company_id, role, label, expires_at, scopes)
        await connection.execute(RETIRE, {"id": id, "overlap": overlap})
    return key


async def only_company(connection: AsyncConnection) -> UUID | None:
    """The company, if there is just one."""
    rows = await (await connection.execute(COMPANIES)).fetchall()
    return rows[0][0] if len(rows) == 1 else None


async def is_company(connection: AsyncConnection, id: UUID) -> bool:
    """Whether this company was registered."""
    return (await connection.execute(f"{COMPANIES} AND id = %s", (id,))).rowcount == 1
