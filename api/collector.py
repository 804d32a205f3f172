"""How often Python looks for cycles of objects, of which these processes make few."""

import gc

SELDOM = (50_000, 50, 100)  # new objects; rounds until the older ones are looked through, too


def collect_seldom() -> None:
    """Look for them less often than is the default, at which they take a fifth of a rebuild."""
    gc.set_threshold(*SELDOM)
