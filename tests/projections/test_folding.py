"""Folded text is the same for all spellings that differ in case and accents only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.folding import SORT_LENGTH, fold, sort_key

PROPERTY = settings(derandomize=True, database=None)
SAME = [
    ("Größe", "GRÖSSE"), ("Überraß", "uberrass"), ("é", "e\u0301"), ("ﬁ", "FI"), ("℡", "tel"),
    ("İ", "i"), ("K", "k"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"), ("Ａ１", "a1"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_that_mean_the_same_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@PROPERTY
@given(st.text())
def test_folding_ignores_case(text: str) -> None:
    assert fold(text) == fold(text.casefold())


@PROPERTY
@given(st.text(), st.text())
def test_a_part_of_a_text_is_found_in_it(one: str, other: str) -> None:
    assert fold(one) in fold(f"{other} {one} {other}")


@PROPERTY
@given(st.text(min_size=300, max_size=400))
def test_a_sort_key_fits_into_an_index(text: str) -> None:
    assert len(sort_key(text)) <= SORT_LENGTH
    assert fold(text).startswith(sort_key(text))
