"""Merkle trees, against published vectors, an independent implementation, and themselves."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from application.audit_log import merkle

# The leaves that implementations of Certificate Transparency test themselves with.
DATA = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
LEAVES = [merkle.leaf_hash(each) for each in DATA]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (5, 8): ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
}  # fmt: skip
CONSISTENCY = {
    (1, 1): [],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 5): ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip

leaves = st.integers(1, 300).map(lambda n: [sha256(b"%d" % i).digest() for i in range(n)])
sizes = st.integers(1, 300)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_certificate_transparency(index: int, size: int) -> None:
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    assert [each.hex() for each in proof] == INCLUSION[index, size]
    root = bytes.fromhex(ROOTS[size])
    assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(first: int, second: int) -> None:
    proof = merkle.consistency_proof(LEAVES[:second], first)
    assert [each.hex() for each in proof] == CONSISTENCY[first, second]
    roots = [bytes.fromhex(ROOTS[each]) for each in (first, second)]
    assert merkle.verify_consistency(first, second, roots[0], roots[1], proof)


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_roots_are_those_of_another_implementation(data: list[bytes]) -> None:
    other = InmemoryTree(algorithm="sha256")
    for each in data:
        other.append_entry(each)
    assert merkle.root([merkle.leaf_hash(each) for each in data]) == other.get_root()


@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_are_those_of_another_implementation(
    size: int, data: st.DataObject
) -> None:
    """Which has the same hashes in another order, and the leaf itself among them."""
    other = InmemoryTree(algorithm="sha256")
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(size)]
    for number in range(size):
        other.append_entry(b"%d" % number)
    index = data.draw(st.integers(0, size - 1))
    theirs = other.prove_inclusion(index + 1, size).serialize()["path"]
    ours = [leaves[index], *merkle.inclusion_proof(leaves, index)]
    assert sorted(each.hex() for each in ours) == sorted(theirs)


@given(leaves)
def test_a_frontier_knows_the_root_of_all_that_was_appended(leaves: list[bytes]) -> None:
    frontier = merkle.Frontier()
    assert frontier.root() == merkle.EMPTY_ROOT
    frontier.extend(leaves)
    assert (frontier.size, frontier.root()) == (len(leaves), merkle.root(leaves))


@given(leaves, st.data())
def test_a_frontier_takes_perfect_subtrees_as_well(
    leaves: list[bytes], data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(leaves)))
    frontier = merkle.Frontier()
    for first, end in (
        *merkle.perfect_subtrees(0, begin),
        *merkle.perfect_subtrees(begin, len(leaves)),
    ):
        frontier.append(merkle.root(leaves[first:end]), end - first)
    assert frontier.root() == merkle.root(leaves)


def test_a_subtree_begins_where_one_can() -> None:
    frontier = merkle.Frontier()
    frontier.append(LEAVES[0])
    for leaves in (2, 3):
        with pytest.raises(ValueError, match="cannot follow 1"):
            frontier.append(LEAVES[1], leaves)


@given(leaves, st.data())
def test_every_inclusion_proof_verifies_and_no_altered_one(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size, index = len(leaves), data.draw(st.integers(0, len(leaves) - 1))
    proof, root = merkle.inclusion_proof(leaves, index), merkle.root(leaves)
    leaf = leaves[index]
    assert merkle.verify_inclusion(leaf, index, size, proof, root)
    for altered in data.draw(_altered(proof)):
        assert not merkle.verify_inclusion(leaf, index, size, altered, root)
    assert not merkle.verify_inclusion(_flipped(leaf), index, size, proof, root)
    assert not merkle.verify_inclusion(leaf, index, size, proof, _flipped(root))
    other = data.draw(st.integers(-1, size))
    assert other == index or not merkle.verify_inclusion(leaf, other, size, proof, root)


@given(leaves, st.data())
def test_every_consistency_proof_verifies_and_no_altered_one(
    leaves: list[bytes], data: st.DataObject
) -> None:
    second, first = len(leaves), data.draw(st.integers(0, len(leaves)))
    old, new = merkle.root(leaves[:first]), merkle.root(leaves)
    proof = merkle.consistency_proof(leaves, first)
    assert merkle.verify_consistency(first, second, old, new, proof)
    for altered in data.draw(_altered(proof)):
        assert not merkle.verify_consistency(first, second, old, new, altered)
    assert not merkle.verify_consistency(first, second, _flipped(old), new, proof)
    if first:
        assert not merkle.verify_consistency(first, second, old, _flipped(new), proof)
        assert first == second or not merkle.verify_consistency(second, first, new, old, proof)


def test_there_is_no_proof_of_what_is_not_in_the_tree() -> None:
    with pytest.raises(ValueError, match="no leaf 8"):
        merkle.inclusion_proof(LEAVES, 8)
    with pytest.raises(ValueError, match="does not begin"):
        merkle.consistency_proof(LEAVES, 9)


def _flipped(hash: bytes, bit: int = 0) -> bytes:
    return (int.from_bytes(hash, "big") ^ (1 << bit)).to_bytes(32, "big")


@st.composite
def _altered(draw: st.DrawFn, proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that are much like this one: a bit, a hash more or less, two hashes swapped."""
    altered = [[*proof, proof[-1] if proof else merkle.EMPTY_ROOT]]
    if proof:
        at, bit = draw(st.integers(0, len(proof) - 1)), draw(st.integers(0, 255))
        altered.append([*proof[:at], _flipped(proof[at], bit), *proof[at + 1 :]])
        altered.append(proof[:-1])
        altered.append(proof[1:])
    if len(proof) > 1:
        altered.append([proof[1], proof[0], *proof[2:]])
    return altered
