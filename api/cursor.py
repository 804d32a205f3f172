"""Cursors that nobody can forge, or use for another list than the one they came from."""

import base64
import hashlib
import hmac
import json
from uuid import UUID

from api.errors import ApiError
from projections.keyset import Keyset

_MAC_LENGTH = 16  # bytes


class CursorSigner:
    """Signs where the next page begins, bound to the caller and the filter."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, keyset: Keyset, caller_id: UUID, wanted: object) -> str:
        """The opaque text of a cursor."""
        payload = json.dumps([keyset.key, keyset.id.hex], ensure_ascii=False).encode()
        mac = self._mac(payload, caller_id, wanted)
        return base64.urlsafe_b64encode(mac + payload).decode().rstrip("=")

    def verify(self, cursor: str, caller_id: UUID, wanted: object) -> Keyset:
        """Where the page begins.

        Raises:
            ApiError: `invalid-cursor`.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            mac, payload = raw[:_MAC_LENGTH], raw[_MAC_LENGTH:]
            if not hmac.compare_digest(mac, self._mac(payload, caller_id, wanted)):
                raise ApiError("invalid-cursor")
            key, id = json.loads(payload)
            return Keyset(key, UUID(id))
        except ValueError:
            raise ApiError("invalid-cursor") from None

    def _mac(self, payload: bytes, caller_id: UUID, wanted: object) -> bytes:
        bound = f"{caller_id}|{wanted!r}|".encode()
        return hmac.digest(self._secret, bound + payload, hashlib.sha256)[:_MAC_LENGTH]
