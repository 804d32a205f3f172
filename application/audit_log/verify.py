"""Is an export what was recorded and signed? Answered offline, from it and from what is trusted.

Trusted is what somebody else than the party under suspicion has kept: a public key of the signer,
or an earlier checkpoint. Without either, an archive can only be shown to fit together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from application.audit_log.anchoring import Anchors, Trusted, anchors_of
from application.audit_log.archive import LEAVES, Manifest
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.comparing import Comparison
from application.audit_log.exported import NotReadable, read
from application.audit_log.history import Bad, History, first_repeated
from application.audit_log.merkle import HASH_SIZE, perfect_subtrees
from application.audit_log.opening import Altered, Archive, opened

SOUND, ALTERED, UNANCHORED = 0, 1, 2
PACE = 10_000  # events from one sign of progress to the next

Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What was found. `problems`: the first bad event comes first. `anchors`: what it rests on."""

    path: Path
    manifest: Manifest | None = None
    problems: list[str] = field(default_factory=list)
    bad: Bad | None = None
    anchors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unanswered: bool = False

    @property
    def status(self) -> int:
        """How the command ends: 0 = sound, 1 = altered, 2 = sound, but it rests on nothing."""
        if self.problems:
            return ALTERED
        return SOUND if self.anchors and not self.unanswered else UNANCHORED


def verify(path: Path, trusted: Trusted, progress: Progress = lambda _, __: None) -> Report:
    """Check an archive.

    Raises:
        OSError: it cannot be read.
    """
    report = Report(path)
    try:
        with opened(path) as archive:
            report.manifest = archive.manifest
            _Verification(archive, trusted, report, progress).run()
    except Altered as error:
        report.problems.append(str(error))
    if report.bad:
        report.problems.insert(0, str(report.bad))
    return report


class _Verification:
    """The steps, each of which adds to the report."""

    def __init__(
        self, archive: Archive, trusted: Trusted, report: Report, progress: Progress
    ) -> None:
        self._archive, self._manifest = archive, archive.manifest
        self._trusted, self._report, self._progress = trusted, report, progress

    def run(self) -> None:
        self._check_range()
        anchors = anchors_of(self._archive, self._trusted)
        history = History(self._manifest)
        comparison = Comparison(self._archive, {anchors.saved.size} if anchors.saved else set())
        if self._read(history, comparison):
            self._check_history(history)
            self._check_root(anchors.head, comparison)
            self._compare(anchors, comparison)
        self._archive.check_rest()
        self._report.problems += self._archive.faults

    def _check_range(self) -> None:
        manifest = self._manifest
        begin, end, size = manifest.range.from_index, manifest.range.to_index, manifest.tree.size
        fits = (
            begin <= end <= size
            and len(manifest.before) == len(list(perfect_subtrees(0, begin)))
            and len(manifest.after) == len(list(perfect_subtrees(end, size)))
        )
        if not fits:
            raise Altered("the range in the manifest does not fit the tree")
        if manifest.files[LEAVES].size != (end - begin) * HASH_SIZE:
            self._report.problems.append(f"{LEAVES} does not have one hash for each event")

    def _read(self, history: History, comparison: Comparison) -> bool:
        """Go through the events; whether all could be read, and are there."""
        try:
            whole = self._see_all(history, comparison)
        except Altered as error:
            self._report.problems.append(str(error))
            whole = False
        comparison.finish()
        if not whole and comparison.first:
            self._found(comparison.first)
        return whole

    def _see_all(self, history: History, comparison: Comparison) -> bool:
        begin, end = self._manifest.range.from_index, self._manifest.range.to_index
        for index, line in enumerate(self._archive.lines(), begin):
            if index == end:
                self._found(Bad(index, "it is more than the manifest says"))
                return False
            try:
                event = read(line)
            except NotReadable as error:
                self._found(Bad(index, str(error)))
                return False
            if why := history.add(event):
                self._found(Bad(index, why, event))
            comparison.add(event)
            if index % PACE == 0:
                self._progress(index - begin, end - begin)
        self._progress(end - begin, end - begin)
        if missing := end - history.next:
            why = f"it is missing, and all that follow: {missing} of {end - begin}"
            self._found(Bad(history.next, why))
        return not missing

    def _found(self, bad: Bad) -> None:
        """Remember the first one; of one event, what was found first."""
        if self._report.bad is None or bad.index < self._report.bad.index:
            self._report.bad = bad

    def _check_history(self, history: History) -> None:
        manifest = self._manifest
        first, last = history.positions or (None, None)
        told = (manifest.range.from_position, manifest.range.to_position)
        counted = (sum(history.counts.values()), history.erased, dict(history.counts))
        if counted != (manifest.events, manifest.erased, manifest.counts) or (first, last) != told:
            self._report.problems.append("the manifest does not count the events that are there")
        unexplained = list(history.unexplained)
        if manifest.range.to_index == manifest.tree.size:
            for each in unexplained:
                self._found(each)
        elif unexplained:
            self._report.remarks.append(
                f"{len(unexplained)} tables have erased events, and the event that tells of it is"
                " not in this part of the log: export up to its end to see it"
            )
        if suspects := history.repeated_ids():
            again = first_repeated(suspects, map(read, self._archive.lines()))
            if again:
                self._found(again)

    def _check_root(self, head: Checkpoint, comparison: Comparison) -> None:
        first = comparison.first
        if comparison.root_of_events == head.root:
            if first:  # then it is not the event that is wrong
                self._report.problems.append(
                    f"{LEAVES} is altered at leaf {first.index}; the events are as signed"
                )
            return
        said = "the events are not those that were signed"
        if first:
            self._found(first)
        if comparison.root_of_leaves != head.root:
            said += f"; nor are {LEAVES} and the manifest, so the first bad one may be another"
        self._report.problems.append(said)

    def _compare(self, anchors: Anchors, comparison: Comparison) -> None:
        if problem := anchors.compare(comparison.roots):
            self._report.problems.append(problem)
        if anchors.unanswered:
            self._report.remarks.append(anchors.unanswered)
        self._report.anchors = anchors.found
        self._report.unanswered = anchors.unanswered is not None
