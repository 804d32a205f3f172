"""Signatures as Standard Webhooks 1.0 has them, so that whoever is sent something can trust it."""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
BYTES = 32


def new_secret() -> bytes:
    """A secret nobody can guess."""
    return os.urandom(BYTES)


def shown(secret: bytes) -> str:
    """A secret as it is given to whoever verifies with it."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(
    message_id: str, moment: datetime, body: bytes, secrets: Sequence[bytes]
) -> Mapping[str, str]:
    """The headers that prove where a message comes from; one signature by each secret.

    Source: Standard Webhooks 1.0, "Signature scheme".
    """
    timestamp = int(moment.timestamp())
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(signed, each)}" for each in secrets),
    }


def _signature(signed: bytes, secret: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
