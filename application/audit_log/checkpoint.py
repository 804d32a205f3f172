"""Heads of trees as text that is signed (https://c2sp.org/tlog-checkpoint)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from application.audit_log.merkle import HASH_SIZE
from application.audit_log.note import NoteError, VerifierKey, open_note
from application.audit_log.note_keys import decoded, encoded

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\n(?:[^\n]+\n)*")


@dataclass(frozen=True)
class Checkpoint:
    """How large the tree of an origin is, and what its root is."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The head that the text of a note tells; lines that follow it mean nothing to us.

        Raises:
            NoteError: it tells of none.
        """
        match = _TEXT.fullmatch(text)
        root = decoded(match[3]) if match else b""
        if match is None or len(root) != HASH_SIZE:
            raise NoteError("This is not a checkpoint.")
        return cls(match[1], int(match[2]), root)

    @classmethod
    def open(cls, note: str, known: Sequence[VerifierKey]) -> "Checkpoint":
        """The head of a note that one of the known keys has signed.

        Raises:
            NoteError: it is not signed by any, or not a checkpoint.
        """
        return cls.parse(open_note(note, known).text)

    def text(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{encoded(self.root)}\n"


def origin(key_name: str, company_id: UUID) -> str:
    """What a company's tree is called in heads that a key of this name signs."""
    return f"{key_name}/companies/{company_id}"
