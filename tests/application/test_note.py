"""Signed notes, checkpoints and keys, against what other implementations have signed."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.audit_log.checkpoint import Checkpoint, origin
from application.audit_log.note import NoteError, SignerKey, VerifierKey, open_note, parse, sign

VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
)
# A note that another library shows, and a head that the log of Go's modules has signed.
EXAMPLE = (
    (
        "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz"
        "i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ),
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
)
GO_MODULES = (
    (
        "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— sum.gol"
        "ang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+"
        "xeMcTOAYQ8=\n"
    ),
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
)
PETER = SignerKey.parse(SIGNER)
ENOCH = SignerKey.generate("EnochRoot")


def test_keys_and_notes_are_those_of_the_reference_byte_for_byte() -> None:
    assert sign(TEXT, PETER) == NOTE
    assert str(PETER.verifier) == VERIFIER
    assert VerifierKey.parse(VERIFIER) == PETER.verifier
    assert PETER.text() == SIGNER
    assert open_note(NOTE, [PETER.verifier]).text == TEXT


@pytest.mark.parametrize(("note", "key"), [EXAMPLE, GO_MODULES])
def test_what_others_signed_is_verified(note: str, key: str) -> None:
    signer = VerifierKey.parse(key)
    assert open_note(note, [signer]).text == note[: note.index("\n\n") + 1]
    text, signed = note.split("\n\n")
    for other in (f"{text[1:]}\n\n{signed}", f"{text}\n\n{signed.replace('z', 'y')}"):
        with pytest.raises(NoteError):
            open_note(other, [signer])


def test_a_published_head_is_a_checkpoint() -> None:
    note, key = GO_MODULES
    assert Checkpoint.open(note, [VerifierKey.parse(key)]).size == 20_852_163


def test_a_signer_key_does_not_show_its_secret() -> None:
    assert SIGNER not in repr(PETER)
    assert str(PETER.seed) not in f"{PETER!r}{PETER}"


def test_signatures_of_unknown_keys_mean_nothing() -> None:
    note = sign(TEXT, ENOCH, PETER)
    assert open_note(note, [PETER.verifier]).verified == (PETER.verifier,)
    assert open_note(note, [PETER.verifier, ENOCH.verifier]).verified == (
        ENOCH.verifier, PETER.verifier,
    )  # fmt: skip
    with pytest.raises(NoteError, match="No known key"):
        open_note(note, [SignerKey.generate("PeterNeumann").verifier])


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_no_altered_note_is_taken_for_the_original(at: int, character: str) -> None:
    altered = NOTE[:at] + character + NOTE[at + 1 :]
    if altered != NOTE:
        with pytest.raises(NoteError):
            open_note(altered, [PETER.verifier])


@pytest.mark.parametrize(
    "note",
    ["", "\n", TEXT, f"{TEXT}\n", NOTE[:-1], f"{NOTE}\n", NOTE.replace("— ", "- "),
     NOTE.replace("If", "If\t"), NOTE + "— PeterNeumann AAAA\n",
     TEXT + "\n" + "— other AAAAAAAA\n" * 101],
)  # fmt: skip
def test_what_is_not_a_note_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        parse(note)


@pytest.mark.parametrize("text", ["", "no newline", "a tab\t\n", "half a pair \ud800\n"])
def test_only_lines_of_text_are_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign(text, PETER)


@given(st.integers(0, len(SIGNER)), st.integers(0, len(SIGNER)), st.booleans())
def test_a_part_of_a_key_is_no_key(begin: int, end: int, private: bool) -> None:
    text, of = (SIGNER, SignerKey) if private else (VERIFIER, VerifierKey)
    if text[begin:end] != text:
        with pytest.raises(NoteError):
            of.parse(text[begin:end])


@pytest.mark.parametrize("name", ["", "two words", "a+b", "two\nlines"])
def test_a_name_has_no_spaces_and_no_plus(name: str) -> None:
    with pytest.raises(NoteError):
        SignerKey.generate(name)


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    company = UUID(int=7)
    checkpoint = Checkpoint(origin("EnochRoot", company), size, root)
    assert Checkpoint.open(sign(checkpoint.text(), ENOCH), [ENOCH.verifier]) == checkpoint
    assert checkpoint.text().startswith(f"EnochRoot/companies/{company}\n{size}\n")


def test_a_checkpoint_may_have_more_lines() -> None:
    checkpoint = Checkpoint("origin", 3, bytes(32))
    assert Checkpoint.parse(checkpoint.text() + "more\n") == checkpoint


@pytest.mark.parametrize(
    "text", ["o\n-1\n{}\n", "o\n01\n{}\n", "o\n1\nAAAA\n", "\n1\n{}\n", "o\n1\n"]
)
def test_other_text_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text.format("A" * 43 + "="))
