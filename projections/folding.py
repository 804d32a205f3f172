"""Text without case and accents, for searching and sorting: the database may have no ICU."""

import unicodedata

SORT_LENGTH = 255  # keeps an index entry far below a third of a page


def fold(text: str) -> str:
    """Casefold and drop accents: `Überraß` and `uberrass` become the same.

    Compatibility characters first, or the capitals inside them would stay: `℡` is `TEL`.
    """
    if text.isascii():  # most text: nothing to decompose
        return text.casefold()
    plain = unicodedata.normalize("NFKD", text).casefold()
    decomposed = unicodedata.normalize("NFKD", plain)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def sort_key(text: str) -> str:
    """What a text sorts by, under the C collation."""
    return fold(text)[:SORT_LENGTH]
