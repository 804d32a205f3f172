"""In whatever steps the feed is read, they join to the plain list of what was asked for."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.test_events import CLOUD_EVENTS, FEED, LINES
from tests.api.test_table_defs import create, path
from tests.conftest import sized

pytestmark = pytest.mark.anyio

CREATED, RENAMED, SETTINGS, DELETED, PURGED = (
    f"dynamic-tables.table-def.{verb}.v1"
    for verb in ("created", "renamed", "settings-changed", "deleted", "purged")
)
TABLES = 4
STEPS = ("page", "cloud events", "lines", "some lines", "long poll")

filters = st.fixed_dictionaries(
    {
        "types": st.none()
        | st.sets(st.sampled_from([CREATED, RENAMED, DELETED, PURGED]), min_size=1),
        "table": st.none() | st.integers(0, TABLES - 1),
    }
)
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), min_size=1, max_size=12)


@dataclass
class Reader:
    """Somebody who follows some events, and keeps the position that each answer tells."""

    client: AsyncClient
    params: dict[str, str]
    after: int = 0
    seen: list[str] = field(default_factory=list)

    async def get(self, headers: dict[str, str] | None = None, **more: Any) -> Response:
        params = self.params | {"after": str(self.after)} | more
        answer = await self.client.get(FEED, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        position = int(answer.headers["feed-position"])
        assert position >= self.after
        self.after = position
        return answer

    async def take(self, step: str, limit: int, writing: Any) -> None:
        """One step; a long poll that waits is ended by what is written meanwhile."""
        if step == "lines":
            answer = await self.get(LINES)
        elif step == "some lines":
            answer = await self.get(LINES, limit=limit)
        elif step == "cloud events":
            answer = await self.get(CLOUD_EVENTS, limit=limit)
        elif step == "long poll":
            answer, _ = await asyncio.gather(self.get(limit=limit, wait=20), writing())
        else:
            answer = await self.get(limit=limit)
        self.note(answer)

    def note(self, answer: Response) -> list[str]:
        is_lines = answer.headers["content-type"].startswith(LINES["Accept"])
        items = map(json.loads, answer.text.splitlines()) if is_lines else answer.json()
        new = [item["id"] for item in items]
        self.seen += new
        return new


@pytest.fixture
async def tables(client: AsyncClient) -> list[dict[str, Any]]:
    """Tables to which something happened."""
    made = [await create(client, name=f"T {number}") for number in range(TABLES)]
    for number in range(12):
        table = made[number % 3]
        await client.patch(path(table), json={"name": f"N {number}", "settings": {"n": number}})
    for _ in range(3):
        await client.delete(path(made[1]))
        await client.post(f"{path(made[1])}/restore")
    return made


@settings(
    max_examples=sized(25, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(wanted=filters, plan=steps)
async def test_any_steps_join_to_the_plain_list(
    client: AsyncClient, tables: list[dict[str, Any]], wanted: dict[str, Any], plan: Any
) -> None:
    types, table = wanted["types"], wanted["table"]
    params = {"types": ",".join(sorted(types))} if types else {}
    if table is not None:
        params["tableId"] = tables[table]["id"]

    def wants(item: dict[str, Any]) -> bool:
        return (not types or item["type"] in types) and (
            table is None or item.get("tableId") == tables[table]["id"]
        )

    async def write() -> None:
        """Something that is wanted, after something that may not be."""
        other = await create(client, name="Other")
        mine = tables[table or 0] if table is not None else other
        await client.patch(path(mine), json={"name": f"New {uuid4()}"})
        await client.delete(path(mine))
        await client.post(f"{path(mine)}/restore")

    reader = Reader(client, params)
    happens = not types or (types & ({RENAMED, DELETED} | ({CREATED} if table is None else set())))
    for step, limit in plan:
        if step != "long poll" or happens:
            await reader.take(step, limit, write)
    while reader.note(await reader.get(limit=7)):
        pass
    everything = (await client.get(FEED, headers=LINES)).text.splitlines()
    assert reader.seen == [item["id"] for item in map(json.loads, everything) if wants(item)]
    assert reader.after == int(json.loads(everything[-1])["position"])
