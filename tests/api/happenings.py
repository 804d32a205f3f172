"""Events of every type, as they are stored or made up, and as others get them."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import AsyncClient
from hypothesis import strategies as st

from api.event_types import event_types
from application.feed import cloud_event, public_item
from domain.base import Event
from domain.recorded import encode
from tests.api.conftest import WORKSPACE
from tests.api.tenants import new_workspace
from tests.api.test_events import CLOUD_EVENTS, FEED, everything
from tests.api.test_table_defs import create, path
from tests.conftest import eventually
from tests.domain.vocabulary import COMPANY, NOON, TABLE, context

SAMPLES = {
    sample.stem: sample.read_bytes()
    for sample in sorted((Path(__file__).parents[1] / "domain" / "samples").glob("*.json"))
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=3)
Pair = tuple[dict[str, Any], dict[str, Any]]


def seen(topic: str, state: bytes | None) -> Pair:
    """A stored state as an item of the feed, and as a CloudEvent, both as JSON values."""
    row = (48231, TABLE, 7, topic, state, UUID(int=7))
    return _json(public_item(COMPANY, row)), _json(cloud_event(COMPANY, row))


def sampled(sample: str) -> Pair:
    """A sample of what some release stored, as others get it."""
    return seen(sample.rpartition(".v")[0], SAMPLES[sample])


def made_up(event_class: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of a class that its fields allow."""
    fields = {
        name: OBJECTS if field.annotation == dict[str, Any] else st.from_type(field.annotation)
        for name, field in event_class.model_fields.items()
        if name not in event_class.ENVELOPE
    }
    envelope = {"originator_id": TABLE, "originator_version": 7, "timestamp": NOON}
    return st.fixed_dictionaries(fields).map(
        lambda data: event_class(**envelope, **data, metadata=context().metadata())
    )


def as_seen(event: Event) -> Pair:
    """An event that was stored and read, as others get it."""
    return seen(event.TOPIC, encode(event))


async def events_of_every_type(client: AsyncClient, platform: AsyncClient) -> list[Pair]:
    """What the feed tells of a company to which everything happened."""
    await _everything_happens_to_tables(client)
    workspace = await new_workspace(client)
    address = f"/api/workspaces/{workspace['id']}"
    await _done(client, "PATCH", address, {"name": "Marketing"})
    await _done(client, "DELETE", address)
    await _done(client, "POST", f"{address}/restore")
    settings = {"requireIfMatch": False}
    await _done(client, "PATCH", "/api/company", {"name": "Renamed", "settings": settings})
    company = (await client.get("/api/company")).json()["id"]
    await _done(platform, "DELETE", f"/api/companies/{company}")
    await _done(platform, "POST", f"/api/companies/{company}/restore")

    async def let_in() -> bool:
        return (await client.get(FEED)).status_code == 200

    await eventually(let_in)
    items = await everything(client)
    assert {item["type"] for item in items} == set(event_types())
    answer = await client.get(FEED, params={"limit": 1000}, headers=CLOUD_EVENTS)
    return list(zip(items, answer.json(), strict=False))  # more may have come in between


async def _everything_happens_to_tables(client: AsyncClient) -> None:
    table = path(await create(client, workspaceId=str(WORKSPACE)))
    changes = {
        "name": "X", "slug": "x", "description": "X", "icon": "📦", "color": "#AABBCC",
        "settings": {"a": {"b": [1, None]}}, "workspaceId": None,
    }  # fmt: skip
    await _done(client, "PATCH", table, changes)
    await _done(client, "PATCH", table, {"description": None, "icon": None, "color": None})
    await _done(client, "DELETE", table)
    await _done(client, "POST", f"{table}/restore")
    await _done(client, "DELETE", table)
    await _done(client, "POST", f"{table}/purge")
    await create(client, name="Without a workspace")
    erased = path(await create(client, name="Erased"))
    await _done(client, "DELETE", erased)
    answer = await client.post(
        f"{erased}/purge", json={"erase": True}, headers={"Reason": "asked for"}
    )
    assert answer.is_success, answer.text


async def _done(client: AsyncClient, method: str, address: str, body: Any = None) -> None:
    answer = await client.request(method, address, json=body)
    assert answer.is_success, answer.text


def _json(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(value))
    return found
