"""Whatever is done to an archive is found, and the first bad event is named where it can be."""

import asyncio
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from application.audit_log.note_keys import SignerKey
from application.audit_log.verify import ALTERED, SOUND, UNANCHORED
from tests.conftest import cloned, sized
from tests.contracts.edits import EDITS, SEEN, Edit
from tests.contracts.exporting import Anchored, Parts, anchored, checked, exported, happen
from tests.contracts.logged import logged

EVENTS = sized(240, 30_000)  # of three companies together
SEEDS = range(2)


@dataclass(frozen=True)
class Story:
    """An archive, one of some time before, and what somebody kept in between."""

    content: bytes
    early: bytes
    part: bytes
    kept: Anchored


@pytest.fixture(scope="module")
def story(postgres_18: str) -> Iterator[Story]:
    """Of one company, among others."""

    async def tell(url: str) -> Story:
        random = Random(1)
        async with logged(url) as log:
            company = log.companies[0]
            await happen(log, random, EVENTS // 3)
            await log.keep()
            early = await exported(log, company)
            await happen(log, random, EVENTS // 3)
            await log.keep()
            kept = await anchored(log, company)
            await happen(log, random, EVENTS // 3)
            await log.keep()
            part = await exported(log, company, EVENTS // 4, EVENTS // 2)
            return Story(await exported(log, company), early, part, kept)

    for url in cloned(postgres_18):
        yield asyncio.run(tell(url))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export.zip"


EACH = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
EACH_SEEN = pytest.mark.parametrize("edit", SEEN, ids=lambda edit: edit.__name__)


def test_what_nobody_altered_is_sound(story: Story, path: Path) -> None:
    for content in (story.content, story.part):
        path.write_bytes(content)
        assert checked(path, story.kept, saved=False).status == SOUND
        assert checked(path, story.kept, saved=False, key=False).status == UNANCHORED
    path.write_bytes(story.content)
    assert checked(path, story.kept).status == SOUND
    assert checked(path, story.kept, key=False).status == SOUND


def test_what_is_only_packed_again_is_sound(story: Story, path: Path) -> None:
    parts = Parts.of(story.content)
    parts.write_lines()
    assert checked(parts.write(path), story.kept).status == SOUND


@EACH
def test_the_first_bad_event_is_named(edit: Edit, story: Story, path: Path) -> None:
    """The lines are altered, and the manifest with them; the leaves are those that were kept."""
    for seed in SEEDS:
        parts = Parts.of(story.content)
        expected = edit(parts, Random(seed))
        parts.write_lines()
        report = checked(parts.write(path), story.kept)
        assert report.status == ALTERED
        assert report.bad is not None
        assert report.bad.index == expected, report.problems
        assert f"event {expected}" in report.problems[0]


@EACH
def test_of_a_part_the_first_bad_event_is_named_too(edit: Edit, story: Story, path: Path) -> None:
    for seed in SEEDS:
        parts = Parts.of(story.part)
        begin = parts.manifest["range"]["fromIndex"]
        try:
            expected = begin + edit(parts, Random(seed))
        except IndexError:
            continue  # there is nothing erased in this part
        parts.write_lines()
        report = checked(parts.write(path), story.kept, saved=False)
        if edit.__name__ == "fake_erasure":  # what tells of it may lie behind this part
            assert report.remarks
            continue
        assert report.status == ALTERED
        assert report.bad is not None
        assert report.bad.index == expected, report.problems


@EACH
def test_a_manifest_and_leaves_that_fit_do_not_help(edit: Edit, story: Story, path: Path) -> None:
    for seed in SEEDS:
        parts = Parts.of(story.content)
        edit(parts, Random(seed))
        parts.refit(size=bool(seed % 2))
        assert checked(parts.write(path), story.kept, saved=False).status == ALTERED
        assert checked(path, story.kept, key=False).status == ALTERED


@EACH_SEEN
def test_signing_with_another_key_does_not_help(edit: Edit, story: Story, path: Path) -> None:
    for seed in SEEDS:
        parts = Parts.of(story.content)
        edit(parts, Random(seed))
        parts.refit()
        parts.resign(SignerKey.generate(story.kept.signer.name))
        assert checked(parts.write(path), story.kept, saved=False).status == ALTERED
        assert checked(path, story.kept, key=False).status == ALTERED


@EACH_SEEN
def test_signing_a_rewritten_history_with_the_real_key_is_found_by_who_kept_a_head(
    edit: Edit, story: Story, path: Path
) -> None:
    for seed in SEEDS:
        parts = Parts.of(story.content)
        size = len(Parts.of(story.content).lines)
        at = edit(parts, Random(seed))
        parts.refit()
        parts.resign(story.kept.signer)
        report = checked(parts.write(path), story.kept)
        is_kept = at < int((story.kept.saved or "").split("\n")[1])
        assert (report.status == ALTERED) >= is_kept, (at, size, report.problems)


def test_a_tail_that_is_cut_with_an_older_head_is_found_by_who_kept_a_later_one(
    story: Story, path: Path
) -> None:
    path.write_bytes(story.early)
    assert checked(path, story.kept, saved=False).status == SOUND
    report = checked(path, story.kept)
    assert report.status == ALTERED
    assert "events are missing" in report.problems[0]


def test_a_byte_that_changes_anywhere_is_found(story: Story, path: Path) -> None:
    """Of any file, packed again so that the ZIP itself is whole."""
    for seed in range(40):
        random, parts = Random(seed), Parts.of(story.content)
        name = random.choice([name for name in parts.files if name != "manifest.json"])
        content = bytearray(parts.files[name])
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        parts.files[name] = bytes(content)
        with zipfile.ZipFile(path, "w") as zip:
            for each, text in parts.files.items():
                zip.writestr(each, text)
        report = checked(path, story.kept)
        assert report.status == ALTERED, name
        line = bytes(content).count(b"\n", 0, _first_unlike(parts, story, name))
        if name == "events.jsonl":
            assert report.bad is not None
            assert report.bad.index == line


def _first_unlike(parts: Parts, story: Story, name: str) -> int:
    pairs = zip(parts.files[name], Parts.of(story.content).files[name], strict=True)
    return next(n for n, (one, other) in enumerate(pairs) if one != other)


def test_a_bit_that_changes_in_the_file_is_found(story: Story, path: Path) -> None:
    for seed in range(60):
        random, content = Random(seed), bytearray(story.content)
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)
        report = checked(path, story.kept)
        if report.status != ALTERED:  # a date, or the like: nothing that is an event's
            assert Parts.of(bytes(content)).files == Parts.of(story.content).files


def test_leaves_that_were_altered_are_told_from_events_that_were(story: Story, path: Path) -> None:
    parts = Parts.of(story.content)
    leaves = bytearray(parts.files["leaves.bin"])
    leaves[32 * 7] ^= 1
    parts.files["leaves.bin"] = bytes(leaves)
    report = checked(parts.write(path), story.kept)
    assert report.status == ALTERED
    assert report.bad is None
    assert "leaf 7" in report.problems[0]


@pytest.mark.parametrize("what", ["size", "root", "origin", "signature"])
def test_a_checkpoint_that_was_altered_is_found(what: str, story: Story, path: Path) -> None:
    parts = Parts.of(story.content)
    lines = parts.files["checkpoint.txt"].decode().split("\n")
    number = {"origin": 0, "size": 1, "root": 2, "signature": 4}[what]
    text = lines[number]
    lines[number] = text[:-3] + ("A" if text[-3:-2] != "A" else "B") + text[-2:]
    parts.files["checkpoint.txt"] = "\n".join(lines).encode()
    assert checked(parts.write(path), story.kept).status == ALTERED
    assert checked(path, story.kept, saved=False, key=False).status == ALTERED


@pytest.mark.parametrize("name", ["before", "after"])
def test_hashes_of_the_rest_of_the_tree_that_were_altered_are_found(
    name: str, story: Story, path: Path
) -> None:
    parts = Parts.of(story.part)
    assert parts.manifest[name]
    parts.manifest[name][0] = "0" * 64
    assert checked(parts.write(path), story.kept, saved=False).status == ALTERED


def test_another_company_s_checkpoint_is_no_anchor(story: Story, path: Path) -> None:
    path.write_bytes(story.content)
    other = (story.kept.saved or "").replace("/companies/", "/companies/0")
    assert checked(path, replace(story.kept, saved=other)).status == ALTERED
    assert checked(path, replace(story.kept, saved="no note")).status == ALTERED


def test_a_part_cannot_be_compared_with_a_head_outside_it(story: Story, path: Path) -> None:
    path.write_bytes(story.part)
    report = checked(path, story.kept)
    assert report.status in (SOUND, UNANCHORED)
    inside = int((story.kept.saved or "").split("\n")[1])
    span = Parts.of(story.part).manifest["range"]
    assert (report.status == SOUND) == (span["fromIndex"] <= inside <= span["toIndex"])
