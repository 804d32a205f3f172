"""What others changed while somebody filled in a form: it stays, unless both changed the same."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from api.errors import ApiError
from application.base import Outcome, Stale

ROUNDS = 5  # how often others may be faster with something else

Values = Mapping[str, Any]


async def merged(
    version: int,
    wanted: Values,
    values: Callable[[Any], Values],
    change: Callable[[Values, int], Awaitable[Outcome]],
) -> Outcome:
    """Change what a form sets that was made of this version.

    `values`: those of an aggregate that the form is about. `change`: sets some, at a version.

    Raises:
        Stale: others set the same to something else.
        ApiError: `append-busy`.
    """
    for _ in range(ROUNDS):
        try:
            return await change(wanted, version)
        except Stale as stale:
            if stale.base is None:
                raise
            base, theirs = values(stale.base), values(stale.current)
            wanted = differing(wanted, base)
            if any(theirs[name] not in (base[name], value) for name, value in wanted.items()):
                raise
            version = stale.current.version
    raise ApiError("append-busy")


def differing(wanted: Values, known: Values) -> Values:
    """Those that are not as known."""
    return {name: value for name, value in wanted.items() if value != known[name]}
