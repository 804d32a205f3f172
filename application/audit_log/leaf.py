"""The leaf of an event: what the log commits to of it.

Nine lines of UTF-8, each ended by a newline; the first names the format. What was said, and by
whom, is in it only as a commitment, so that it can be erased while the tree stays what it is.
"""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

FORMAT = "dynamic-tables event v1"
SALT_SIZE = 16  # bytes; of another size, another state might have the same commitment


def leaf_data(
    company_id: UUID,
    position: int,
    aggregate_id: UUID,
    version: int,
    topic: str,
    event_id: UUID,
    recorded_at: datetime,
    commitment: bytes,
) -> bytes:
    """The data of an event's leaf; `merkle.leaf_hash` hashes it."""
    moment = recorded_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return (
        f"{FORMAT}\n{company_id}\n{position}\n{aggregate_id}\n{version}\n{topic}\n{event_id}\n"
        f"{moment}Z\n{commitment.hex()}\n"
    ).encode()


def commitment(salt: bytes | None, state: bytes) -> bytes:
    """What the leaf says of an event's stored bytes."""
    return sha256((salt or b"") + state).digest()
