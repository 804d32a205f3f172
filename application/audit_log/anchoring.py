"""What an archive rests on: who signed its checkpoint, and whether it extends an earlier one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from application.audit_log.archive import CHECKPOINT, KEYS
from application.audit_log.checkpoint import Checkpoint, origin
from application.audit_log.note import Note, open_note
from application.audit_log.note_keys import NoteError, VerifierKey
from application.audit_log.opening import Altered, Archive
from application.audit_log.published_keys import published_in


@dataclass(frozen=True)
class Trusted:
    """What whoever asks has kept: verifier keys, and the note of an earlier checkpoint."""

    keys: Sequence[VerifierKey] = ()
    saved: str | None = None


@dataclass
class Anchors:
    """The signed head of an archive and the one that was saved, which is no later one.

    `found`: what it rests on, in words. `unanswered`: what cannot be told of the saved one.
    """

    head: Checkpoint
    saved: Checkpoint | None = None
    found: list[str] = field(default_factory=list)
    unanswered: str | None = None

    def compare(self, roots: Mapping[int, bytes]) -> str | None:
        """Why the events with these roots do not begin as the saved head says; None = they do."""
        if self.saved is None:
            return None
        size = self.saved.size
        if size not in roots:
            self.unanswered = (
                f"the saved checkpoint covers {size} events, which is outside this part of the log:"
                " it could not be compared; export from the beginning to do so"
            )
        elif roots[size] != self.saved.root:
            return f"the first {size} events are not those of the saved checkpoint"
        else:
            self.found.append(f"its first {size} events are those of the saved checkpoint")
        return None


def anchors_of(archive: Archive, trusted: Trusted) -> Anchors:
    """The heads, both signed, of the log that the archive is of.

    A key that was replaced signed no more than the head of that moment: it says nothing of what
    follows, nor of who signs that.

    Raises:
        Altered: they are not, or do not fit.
    """
    text, published = archive.text(CHECKPOINT), published_in(archive.text(KEYS))
    handover = published.handover or ""
    former = _is_signed(handover, trusted.keys) and not _is_signed(text, trusted.keys)
    note = _opened(text, trusted.keys if trusted.keys and not former else published.keys)
    head = _head(archive, note)
    kept = trusted.saved or (handover if former else None)
    saved = _saved(kept, head, [*trusted.keys, *published.keys]) if kept else None
    signers = ", ".join(f"{key.name} ({key.id.hex()})" for key in note.verified)
    if former:
        unanswered = (
            "the key that you gave was replaced; what came after its last signature is signed by"
            f" {signers}: get that key from somebody whom you trust, and give it"
        )
        return Anchors(head, saved, [], unanswered)
    found = [f"its checkpoint is signed by {signers}"] if trusted.keys else []
    return Anchors(head, saved, found)


def _is_signed(text: str, keys: Sequence[VerifierKey]) -> bool:
    try:
        open_note(text, keys)
    except NoteError:
        return False
    return True


def _opened(text: str, keys: Sequence[VerifierKey]) -> Note:
    try:
        return open_note(text, keys)
    except NoteError as error:
        raise Altered(f"{CHECKPOINT}: {error}") from None


def _head(archive: Archive, note: Note) -> Checkpoint:
    manifest = archive.manifest
    try:
        head = Checkpoint.parse(note.text)
    except NoteError as error:
        raise Altered(f"{CHECKPOINT}: {error}") from None
    if head.origin not in {origin(key.name, UUID(manifest.company_id)) for key in note.verified}:
        raise Altered(f"{CHECKPOINT} is that of another log: {head.origin[:200]}")
    if (head.size, head.root.hex()) != (manifest.tree.size, manifest.tree.root):
        raise Altered("the manifest does not name the tree of the checkpoint")
    return head


def _saved(text: str, head: Checkpoint, known: Sequence[VerifierKey]) -> Checkpoint:
    try:
        saved = Checkpoint.open(text, known)
    except NoteError as error:
        raise Altered(f"the saved checkpoint does not belong to this export: {error}") from None
    if saved.origin != head.origin:
        raise Altered(f"the saved checkpoint is that of another log: {saved.origin[:200]}")
    if saved.size > head.size:
        raise Altered(
            f"the saved checkpoint covers {saved.size} events, that of the export {head.size}:"
            " events are missing, as after a backup was restored, or the export is the older of the"
            " two: export again, and ask for the date of the backup"
        )
    return saved
