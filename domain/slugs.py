"""Slugs that are derived from names: `Größe & Maße` gives `grosse-masse`, then `grosse-masse-2`."""

from slugify import slugify

from domain.values import SLUG_LENGTH

FALLBACK = "table"


def derive(name: str) -> str:
    """The slug that a name asks for: transliterated, cut to fit, `table` when nothing is left."""
    slug = slugify(name, entities=False, decimal=False, hexadecimal=False, max_length=SLUG_LENGTH)
    return slug or FALLBACK


def numbered(base: str, number: int) -> str:
    """The n-th choice for a slug: the base itself, then `base-2`, `base-3` …, cut to fit."""
    if number == 1:
        return base
    suffix = f"-{number}"
    return base[: SLUG_LENGTH - len(suffix)].rstrip("-") + suffix
