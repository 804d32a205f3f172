"""The Ed25519 keys of signed notes (https://c2sp.org/signed-note), and how they are written."""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
PRIVATE = "PRIVATE+KEY+"
NAME = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")


class NoteError(ValueError):
    """This is no key or note of ours, or nobody known signed it."""


@dataclass(frozen=True)
class VerifierKey:
    """What tells whether a note was signed by the holder of the signer key of this name."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise NoteError("The name of a key has no spaces and no plus.")
        if len(self.public_key) != 32:
            raise NoteError("An Ed25519 key has 32 bytes.")

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of a text such as `name+0123abcd+AY…`.

        Raises:
            NoteError: it is not such a text.
        """
        name, id, bytes_ = _fields(text)
        key = cls(name, bytes_)
        if key.id.hex() != id:
            raise NoteError("The id in the key is not that of the key.")
        return key

    @cached_property
    def id(self) -> bytes:
        """Four bytes that a signature names the key by."""
        data = self.name.encode() + b"\n" + ED25519 + self.public_key
        return sha256(data).digest()[:4]

    def is_signed(self, text: str, signature: bytes) -> bool:
        """Whether the signature is that of this key for the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encoded(ED25519 + self.public_key)}"


@dataclass(frozen=True)
class SignerKey:
    """What signs notes. Its text is a secret, and so is not what is shown of it."""

    name: str
    seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise NoteError("An Ed25519 key has 32 bytes.")
        self.verifier  # noqa: B018  # that name and key are fit for one

    @classmethod
    def generate(cls, name: str) -> "SignerKey":
        """A new key of this name."""
        return cls(name, os.urandom(32))

    @classmethod
    def parse(cls, text: str) -> "SignerKey":
        """The key of a text such as `PRIVATE+KEY+name+0123abcd+AY…`.

        Raises:
            NoteError: it is not such a text.
        """
        if not text.startswith(PRIVATE):
            raise NoteError(f"A signer key begins with {PRIVATE}.")
        name, id, seed = _fields(text.removeprefix(PRIVATE))
        key = cls(name, seed)
        if key.verifier.id.hex() != id:
            raise NoteError("The id in the key is not that of the key.")
        return key

    @cached_property
    def verifier(self) -> VerifierKey:
        """What the signatures are checked with; no secret."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, text: str) -> bytes:
        """The signature of a text."""
        return self._private.sign(text.encode())

    def text(self) -> str:
        """The key as `parse` reads it: a secret."""
        id = self.verifier.id.hex()
        return f"{PRIVATE}{self.name}+{id}+{encoded(ED25519 + self.seed)}"

    def __repr__(self) -> str:
        return f"SignerKey({self.verifier})"


def _fields(text: str) -> tuple[str, str, bytes]:
    """Name, id and key of the text of a key."""
    name, _, rest = text.partition("+")
    id, _, key = rest.partition("+")
    data = decoded(key)
    if not re.fullmatch("[0-9a-f]{8}", id) or data[:1] != ED25519:
        raise NoteError("This is not an Ed25519 key of signed notes.")
    return name, id, data[1:]


def decoded(text: str) -> bytes:
    """What is written in base64, in the one way there is; nothing if it is not."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if encoded(data) == text else b""


def encoded(data: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(data).decode()
