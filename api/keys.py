"""API keys: made, listed and revoked by whoever runs the installation."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from api.auth import SCOPES, hash_secret
from api.ids import new_id

INSERT = """
INSERT INTO access.api_keys (id, company_id, role, label, secret_hash, expires_at)
VALUES (%(id)s, %(company_id)s, %(role)s, %(label)s, %(secret_hash)s, %(expires_at)s)
ON CONFLICT (id) DO NOTHING
"""
LIST = """
SELECT id, company_id, role, label, created_at, expires_at, revoked_at, last_used_at
  FROM access.api_keys ORDER BY created_at
"""
REVOKE = """
UPDATE access.api_keys SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL
"""
ADMITS = """
SELECT FROM access.api_keys WHERE id = %s AND secret_hash = %s AND revoked_at IS NULL
"""
COMPANIES = "SELECT DISTINCT company_id FROM access.api_keys"

ROLES = tuple(SCOPES)


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment at which its secret is known."""

    id: UUID
    secret: str

    @classmethod
    def make(cls) -> "NewKey":
        """A key that nobody has seen."""
        return cls(new_id(), secrets.token_hex(20))

    @classmethod
    def parse(cls, token: str) -> "NewKey":
        """A key from its text.

        Raises:
            ValueError: this is no key.
        """
        prefix, id, secret = token.strip().split("_")
        if prefix != "dtk":
            raise ValueError(prefix)
        return cls(UUID(hex=id), secret)

    def __str__(self) -> str:
        return f"dtk_{self.id.hex}_{self.secret}"


async def store(
    connection: AsyncConnection,
    key: NewKey,
    company_id: UUID,
    role: str,
    label: str,
    expires_at: datetime | None = None,
) -> None:
    """Let a key in from now on; storing it again changes nothing."""
    parameters: dict[str, Any] = {
        "id": key.id,
        "company_id": company_id,
        "role": role,
        "label": label,
        "secret_hash": hash_secret(key.secret),
        "expires_at": expires_at,
    }
    await connection.execute(INSERT, parameters)


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


async def only_company(connection: AsyncConnection) -> UUID | None:
    """The company of all keys, if there is just one."""
    rows = await (await connection.execute(COMPANIES)).fetchall()
    return rows[0][0] if len(rows) == 1 else None
