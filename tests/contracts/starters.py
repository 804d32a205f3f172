"""Processes that start at once: `python -m`, and for each the administrator's URL and its own."""

import asyncio
import os
import sys

from api.migrations import migrate


def start_all(pairs: list[tuple[str, str]]) -> int:
    """Migrate each of these in a process of its own, all let go together; how many failed."""
    waiting, go = os.pipe()
    children = [_child(pair, waiting, go) for pair in pairs]
    os.close(go)  # every child reads the end of the pipe now
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def _child(pair: tuple[str, str], waiting: int, go: int) -> int:
    if child := os.fork():
        return child
    os.close(go)
    os.read(waiting, 1)
    try:
        asyncio.run(migrate(*pair))
    except Exception as error:
        print(repr(error), file=sys.stderr, flush=True)  # noqa: T201  # for the failing test
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(start_all(list(zip(sys.argv[1::2], sys.argv[2::2], strict=True))))
