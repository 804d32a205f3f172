"""Ourselves among the peers: API process and projector, row-level security on."""

import contextlib
from collections.abc import Iterator
from importlib.metadata import version

from benchmarks import service
from benchmarks.peers.peer import resident
from benchmarks.peers.work import CHANGED, NEW, PAGE, Contender, Shape

NAME = "Dynamic Tables"
SHAPES = {
    "create": Shape("POST", "/api/tables", NEW),
    "get": Shape("GET", "/api/tables/<id>"),
    "list": Shape("GET", f"/api/tables?limit={PAGE}"),
    "patch": Shape("PATCH", "/api/tables/<id>", f"{{{CHANGED}}}"),
    "delete": Shape("DELETE", "/api/tables/<id>"),
}


@contextlib.contextmanager
def running(database: str) -> Iterator[Contender]:
    """Serve until the block ends."""
    with service.running(database) as ours:
        contender = Contender(
            NAME, f"dynamic-tables {version('dynamic-tables')}", True, ours.address,
            f"Authorization: Bearer {ours.key}", SHAPES, ours.started_in, resident(*ours.pids),
            lambda: resident(*ours.pids),
        )  # fmt: skip
        contender.fill()
        yield contender
