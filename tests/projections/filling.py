"""What people do while a read model is built anew."""

from itertools import count

import pytest

from projections import rebuild as rebuilding
from projections.base import Statements
from projections.follower import Follower
from tests.projections.world import World


async def changed_while_it_fills(world: World, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let tables change when a rebuild, in batches of this size, has read some of them.

    Among them are some that it has read, half read, and not read yet.
    """
    ids = [await world.create(f"Table {n}", slug=f"first-{n}") for n in range(9)]
    for number, id in enumerate(ids):
        await world.change(id, slug=f"second-{number}")
        await world.change(id, name=f"Name {number}")
    for number in (4, 5):  # what each gave up is another's when those two are erased
        await world.create("Heir", slug=f"first-{number}")
    await world.purge(ids[8], erase=True)
    fill, batches = Follower.fill, count()

    async def filling(follower: Follower, statements: Statements) -> None:
        await fill(follower, statements)
        if next(batches) == 12 // size:
            for first in (0, 3):
                await world.change(ids[first], slug=f"third-{first}")
                await world.purge(ids[first + 1])
                await world.purge(ids[first + 2], erase=True)
            await world.change(ids[6], slug="first-0")
            await world.create("New", slug="second-0")

    monkeypatch.setattr(rebuilding, "BATCH", size)
    monkeypatch.setattr(Follower, "fill", filling)
