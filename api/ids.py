"""Ids and moments: time-ordered UUIDs, version 7 (RFC 9562)."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new id that sorts by the time it was made."""
    return uuid7()
