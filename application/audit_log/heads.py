"""Reads the signed heads."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

READ = """
SELECT size, root, note, handover, signed_at, refused, refused_at
  FROM audit_log.heads
 WHERE company_id = %s
"""


class NothingSigned(Exception):
    """No head of this company's log is signed yet: nothing happened, or just now."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Head:
    """The last signed head of a company.

    `handover`: the last note that a key and its successor both signed. `refused`: why no further
    head is signed, since `refused_at`; None: the next one is.
    """

    size: int
    root: bytes
    note: str
    handover: str | None
    signed_at: datetime
    refused: str | None
    refused_at: datetime | None


@dataclass
class SigningRefused(Exception):
    """The log does not extend the last head that was signed: somebody altered it."""

    head: Head


async def head(connection: AsyncConnection[Any], company_id: UUID) -> Head | None:
    """The last signed head of a company; None before the first."""
    row = await (await connection.execute(READ, (company_id,))).fetchone()
    return Head(*row) if row else None


async def sound(connection: AsyncConnection[Any], company_id: UUID) -> Head:
    """The last signed head of a company whose log still extends it.

    Raises:
        NothingSigned, SigningRefused.
    """
    found = await head(connection, company_id)
    if found is None:
        raise NothingSigned
    if found.refused:
        raise SigningRefused(found)
    return found
