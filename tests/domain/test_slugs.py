"""Slugs that are derived from names, in any script, and numbered until one is free."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain import slugs
from domain.values import Slug

SLUG = TypeAdapter(Slug)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Orders", "orders"),
        ("Sales orders, 2026/27", "sales-orders-2026-27"),
        ("  --  a__b  --  ", "a-b"),
        ("Größe & Maße", "grosse-masse"),
        ("Crème brûlée", "creme-brulee"),
        ("Việt Nam", "viet-nam"),
        ("İstanbul", "istanbul"),
        ("Ελληνικά", "ellenika"),
        ("Заказы", "zakazy"),
        ("日本語", "ri-ben-yu"),
        ("한국어", "hangugeo"),
        ("हिन्दी", "hindii"),
        ("طلبات", "tlbt"),
        ("Հայերեն", "hayeren"),
        ("Ⅷ ½ ﬁn", "viii-1-2-fin"),
        ("&amp; &#381; &#x17D;", "amp-381-x17d"),  # text, not HTML
    ],
)
def test_a_slug_is_the_name_in_plain_letters(name: str, slug: str) -> None:
    assert slugs.derive(name) == slug


@pytest.mark.parametrize("name", ["🎉", "---", "…", "!?", "_"])
def test_a_name_without_letters_gives_table(name: str) -> None:
    assert slugs.derive(name) == "table"


def test_a_long_name_is_cut_to_fit() -> None:
    assert slugs.derive("x" * 255) == "x" * 255
    assert slugs.derive("ß" * 255) == "s" * 255
    assert slugs.derive("x" * 254 + " " + "y" * 100) == "x" * 254


def test_the_first_choice_has_no_number_and_the_next_is_two() -> None:
    assert [slugs.numbered("orders", n) for n in (1, 2, 3, 100)] == [
        "orders", "orders-2", "orders-3", "orders-100",
    ]  # fmt: skip


def test_a_number_is_added_to_a_slug_that_ends_in_one() -> None:
    assert slugs.numbered("orders-2", 2) == "orders-2-2"


def test_a_long_slug_is_cut_to_make_room_for_its_number() -> None:
    assert slugs.numbered("x" * 255, 2) == "x" * 253 + "-2"
    assert slugs.numbered("x" * 255, 1000) == "x" * 250 + "-1000"


def test_a_number_never_follows_two_hyphens() -> None:
    assert slugs.numbered("x" * 252 + "-yy", 2) == "x" * 252 + "-2"


@settings(settings.get_profile("domain"), max_examples=60)
@given(st.text(max_size=40) | st.text("aß-日 ", min_size=250, max_size=255), st.integers(1, 10**6))
def test_whatever_the_name_every_choice_is_a_slug(name: str, number: int) -> None:
    base = slugs.derive(name)
    assert SLUG.validate_python(base) == base
    choice = slugs.numbered(base, number)
    assert SLUG.validate_python(choice) == choice


@settings(settings.get_profile("domain"))
@given(st.lists(st.text("az09", min_size=1), min_size=1, max_size=9).map("-".join))
def test_a_slug_is_its_own_slug(slug: str) -> None:
    assert slugs.derive(slug) == slug


@settings(settings.get_profile("domain"))
@given(
    st.text("ab-", min_size=1, max_size=255).map(slugs.derive),
    st.sets(st.integers(1, 999), min_size=2),
)
def test_no_two_numbers_give_the_same_slug(base: str, numbers: set[int]) -> None:
    assert len({slugs.numbered(base, number) for number in numbers}) == len(numbers)
