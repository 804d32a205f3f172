"""Signed notes (https://c2sp.org/signed-note).

A note is text that ends with a newline; an empty line and one line for each signature follow it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from application.audit_log.note_keys import NoteError, SignerKey, VerifierKey, decoded, encoded

__all__ = ["Note", "NoteError", "Signature", "SignerKey", "VerifierKey", "open_note", "parse",
           "sign"]  # fmt: skip

MOST_SIGNATURES = 100
LARGEST = 1_000_000  # characters
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


@dataclass(frozen=True)
class Signature:
    """Who says to have signed, and with what."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A text, and who of the known ones signed it."""

    text: str
    verified: tuple[VerifierKey, ...]
    signatures: tuple[Signature, ...]


def sign(text: str, *keys: SignerKey) -> str:
    """The note of a text with the signatures of these keys.

    Raises:
        NoteError: the text does not end with a newline, or has control characters.
    """
    _check(text)
    lines = [f"— {key.name} {encoded(key.verifier.id + key.sign(text))}\n" for key in keys]
    return f"{text}\n{''.join(lines)}"


def parse(note: str) -> Note:
    """The parts of a note, none of whose signatures is checked.

    Raises:
        NoteError: it is not of this form.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n") or len(note) > LARGEST:
        raise NoteError("This is not a signed note.")
    text += "\n"
    _check(text)
    lines = signatures[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(f"A note has at most {MOST_SIGNATURES} signatures.")
    return Note(text, (), tuple(map(_signature, lines)))


def open_note(note: str, known: Sequence[VerifierKey]) -> Note:
    """A note that at least one of the known keys has signed; signatures of others are ignored.

    Raises:
        NoteError: it is not of the form of a note, a known key's signature is wrong, or no known
            key signed it.
    """
    parsed = parse(note)
    keys = {(key.name, key.id): key for key in known}
    verified = list[VerifierKey]()
    for each in parsed.signatures:
        key = keys.get((each.name, each.key_id))
        if key is None or key in verified:
            continue
        if not key.is_signed(parsed.text, each.signature):
            raise NoteError(f"The signature of {key.name} is wrong.")
        verified.append(key)
    if not verified:
        raise NoteError("No known key has signed this.")
    return Note(parsed.text, tuple(verified), parsed.signatures)


def _signature(line: str) -> Signature:
    match = _SIGNATURE.fullmatch(line)
    data = decoded(match[2]) if match else b""
    if match is None or len(data) < 5:
        raise NoteError("This is not a signed note.")
    return Signature(match[1], data[:4], data[4:])


def _check(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("The text of a note ends with a newline, and has no control characters.")
