"""The tree that events make up, beside the one that was kept: where they part is what is wrong."""

from collections.abc import Collection, Iterator, Sequence

from application.audit_log.archive import LEAVES
from application.audit_log.exported import Exported
from application.audit_log.history import Bad
from application.audit_log.merkle import HASH_SIZE, Frontier, perfect_subtrees, root
from application.audit_log.opening import Archive

BATCH = 256  # leaves that are hashed together


class Comparison:
    """Takes the events of an archive, and its leaves beside them.

    `first`: the first event whose leaf is not the one that was kept. `roots`: of the events, at the
    sizes that were asked for and are known.
    """

    def __init__(self, archive: Archive, sizes: Collection[int]) -> None:
        manifest = archive.manifest
        self.first: Bad | None = None
        self.roots = dict[int, bytes]()
        self._sizes = sizes
        self._range, self._size = manifest.range, manifest.tree.size
        self._after = [bytes.fromhex(each) for each in manifest.after]
        self._events, self._leaves = Frontier(), Frontier()
        self._kept = _in_pieces(archive.blocks(LEAVES), BATCH * HASH_SIZE)
        self._waiting: list[Exported] = []
        self._note_root()
        self._add_subtrees(0, self._range.from_index, [bytes.fromhex(e) for e in manifest.before])

    def add(self, event: Exported) -> None:
        """The next event."""
        self._waiting.append(event)
        if len(self._waiting) == BATCH:
            self._compare()

    def finish(self) -> None:
        """There are no more events; if all were there, `root_of_events` and `roots` are right."""
        self._compare()
        next(self._kept, None)  # at its end its hash is checked; its size is known to fit
        if self._events.size == self._range.to_index:
            self._add_subtrees(self._range.to_index, self._size, self._after)

    @property
    def root_of_events(self) -> bytes:
        """The root that the events make up."""
        return self._events.root()

    @property
    def root_of_leaves(self) -> bytes:
        """The root that the leaves in the archive make up."""
        return self._leaves.root()

    def _compare(self) -> None:
        events, self._waiting = self._waiting, []
        told, tile = [each.leaf for each in events], next(self._kept, b"")
        kept = [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]
        if told != kept and self.first is None:
            unlike = (
                n for n, pair in enumerate(zip(told, kept, strict=False)) if pair[0] != pair[1]
            )
            if (number := next(unlike, None)) is not None:
                why = "it is not what was committed to: its leaf is another"
                index = self._events.size + number
                self.first = Bad(index, why, events[number])
        self._extend(self._leaves, kept)
        for size in sorted(each - self._events.size for each in self._sizes):
            if 0 < size <= len(told):
                self._extend(self._events, told[:size])
                told = told[size:]
                self._note_root()
        self._extend(self._events, told)

    def _extend(self, tree: Frontier, leaves: Sequence[bytes]) -> None:
        """Add leaves, a perfect subtree at a time."""
        begin = tree.size
        for first, last in perfect_subtrees(begin, begin + len(leaves)):
            tree.append(root(leaves[first - begin : last - begin]), last - first)

    def _add_subtrees(self, begin: int, end: int, hashes: Sequence[bytes]) -> None:
        for (first, last), hash in zip(perfect_subtrees(begin, end), hashes, strict=True):
            self._events.append(hash, last - first)
            if self._leaves.size == first:
                self._leaves.append(hash, last - first)
            self._note_root()

    def _note_root(self) -> None:
        if self._events.size in self._sizes:
            self.roots[self._events.size] = self._events.root()


def _in_pieces(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        rest += block
        whole = len(rest) // size * size
        for at in range(0, whole, size):
            yield rest[at : at + size]
        rest = rest[whole:]
    if rest:
        yield rest
