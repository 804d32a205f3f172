"""Merkle trees over SHA-256 as in RFC 6962 and RFC 9162, section 2.1.

A tree is named by its leaf hashes in order. A proof is a list of hashes, in the order of the RFC;
which subtrees these are, `inclusion_ranges` and `consistency_ranges` say, so that whoever keeps a
large tree need not hold it in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

HASH_SIZE = 32  # bytes
EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]  # of leaves: from the first on, up to the second without it


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf with this data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with these children."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree of these leaves; RFC 9162, section 2.1.1."""
    level = list(leaf_hashes)
    while len(level) > 1:
        odd = level[len(level) & ~1 :]  # has no sibling: stands one level higher as it is
        level = [node_hash(*pair) for pair in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0] if level else EMPTY_ROOT


class Frontier:
    """What must be kept of a tree to append to it and to know its root: O(log n) hashes.

    `size`: how many leaves it has. `peaks`: the hashes of the perfect subtrees that they make up,
    the largest first.
    """

    __slots__ = ("peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, hash: bytes, leaves: int = 1) -> None:
        """Append a leaf by its hash, or a perfect subtree of `leaves` leaves.

        Raises:
            ValueError: such a subtree does not begin here.
        """
        if leaves & (leaves - 1) or self.size % leaves:
            raise ValueError(f"A perfect subtree of {leaves} leaves cannot follow {self.size}.")
        peaks, merged = self.peaks, leaves
        while self.size & merged:
            hash = node_hash(peaks.pop(), hash)
            merged <<= 1
        peaks.append(hash)
        self.size += leaves

    def extend(self, hashes: Iterable[bytes]) -> None:
        """Append leaves by their hashes."""
        for each in hashes:
            self.append(each)

    def root(self) -> bytes:
        """The root of all leaves that were appended."""
        if not self.peaks:
            return EMPTY_ROOT
        *larger, hash = self.peaks
        for peak in reversed(larger):
            hash = node_hash(peak, hash)
        return hash


def perfect_subtrees(begin: int, end: int) -> Iterator[Range]:
    """The fewest perfect subtrees that these leaves make up, from left to right."""
    while begin < end:
        leaves = 1 << ((end - begin).bit_length() - 1)
        if begin:
            leaves = min(leaves, begin & -begin)
        yield begin, begin + leaves
        begin += leaves


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that a leaf is in a tree; RFC 9162, section 2.1.3.1.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}.")
    begin, end, path = 0, size, list[Range]()
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The subtrees whose hashes prove that a tree begins with another; RFC 9162, 2.1.4.1.

    Of the empty tree and of a tree with itself there is nothing to prove.

    Raises:
        ValueError: the first tree is the larger one.
    """
    if not 0 <= first <= second:
        raise ValueError(f"A tree of {second} leaves does not begin with one of {first}.")
    if first in (0, second):
        return []
    begin, end, path = 0, second, list[Range]()
    while first != end:
        middle = _split(begin, end)
        if first <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1] if begin == 0 else [(begin, end), *path[::-1]]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that a leaf is in the tree of these leaves."""
    ranges = inclusion_ranges(index, len(leaf_hashes))
    return [root(leaf_hashes[begin:end]) for begin, end in ranges]


def consistency_proof(leaf_hashes: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree of these leaves begins with the tree of the first so many."""
    ranges = consistency_ranges(first, len(leaf_hashes))
    return [root(leaf_hashes[begin:end]) for begin, end in ranges]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether a proof shows that the tree of this root has this leaf; RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return False
    hash, last = leaf, size - 1
    for each in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            hash = node_hash(each, hash)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            hash = node_hash(hash, each)
        index, last = index >> 1, last >> 1
    return last == 0 and hash == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that the second tree begins with the first; RFC 9162, 2.1.4.2."""
    if first in (0, second):
        expected = EMPTY_ROOT if first == 0 else second_root
        return 0 <= first <= second and not proof and first_root == expected
    if not 0 < first < second or not proof:
        return False
    if first & (first - 1) == 0:  # the first tree is itself a subtree of the second
        proof = [first_root, *proof]
    return _roots(first - 1, second - 1, proof) == (first_root, second_root)


def _roots(index: int, last: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of both trees, by their last leaves; None if the proof is too short or long."""
    while index & 1:
        index, last = index >> 1, last >> 1
    first = second = proof[0]
    for each in proof[1:]:
        if last == 0:
            return None
        if index & 1 or index == last:
            first, second = node_hash(each, first), node_hash(each, second)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            second = node_hash(second, each)
        index, last = index >> 1, last >> 1
    return (first, second) if last == 0 else None


def _split(begin: int, end: int) -> int:
    """Where the left subtree of a node ends: it is the largest perfect one that is not all."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))
