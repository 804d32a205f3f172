"""What a company has besides tables, as its admin makes it over HTTP."""

from typing import Any
from uuid import UUID

from httpx import AsyncClient, Response

from api.keys import NewKey
from tests.api.test_table_defs import create

CONSUMER = "warehouse-copy"  # as the examples of the OpenAPI document call it


def made(answer: Response) -> dict[str, Any]:
    """What was created."""
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def new_workspace(client: AsyncClient, name: str = "Product") -> dict[str, Any]:
    """A workspace of the client's company."""
    return made(await client.post("/api/workspaces", json={"name": name}))


async def new_key(client: AsyncClient, role: str | None = "viewer", **more: Any) -> dict[str, Any]:
    """A key of the client's company, with its text at `key`."""
    given = {"label": "a key"} | ({"role": role} if role else {}) | more
    return made(await client.post("/api/keys", json=given))


async def new_consumer(client: AsyncClient, name: str = CONSUMER, **terms: Any) -> dict[str, Any]:
    """A consumer of the client's company, from the beginning."""
    answer = await client.put(f"/api/consumers/{name}", json={"maxAttempts": 1, **terms})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def parked(client: AsyncClient, name: str = CONSUMER) -> str:
    """The id of a table whose next event is parked; of one more at each call."""
    while True:
        answer = await client.post(f"/api/consumers/{name}/fetch", json={"limit": 1000})
        delivery = answer.json()
        assert delivery["events"], "there is a table"
        for event in delivery["events"]:
            if "tableId" in event:
                refused = {"lease": delivery["lease"], "position": event["position"]}
                await client.post(f"/api/consumers/{name}/nack", json=refused)
                return str(event["tableId"])
        done = {"lease": delivery["lease"], "position": delivery["position"]}
        await client.post(f"/api/consumers/{name}/ack", json=done)


async def new_webhook(client: AsyncClient, **more: Any) -> dict[str, Any]:
    """A webhook of the client's company, that nothing is sent to; there are few at a time."""
    known = (await client.get("/api/webhooks")).json()["items"]
    for webhook in known if len(known) > 50 else ():
        await client.delete(f"/api/webhooks/{webhook['id']}")
    given = {"url": "https://hooks.example.com/tables", "paused": True} | more
    return made(await client.post("/api/webhooks", json=given))


async def new_export(client: AsyncClient, **more: Any) -> dict[str, Any]:
    """An export of the log of the client's company, which is not made yet; there is one at most."""
    for export in (await client.get("/api/audit/exports")).json()["items"]:
        await client.delete(f"/api/audit/exports/{export['id']}")
    answer = await client.post("/api/audit/exports", json=more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def key_id(token: str) -> str:
    """The id of a key, which is also that of the actor who comes with it."""
    return str(NewKey.parse(token).id)


async def one_of_each(client: AsyncClient, company: UUID) -> dict[str, str]:
    """The id of something live of each kind, by the collection in the paths of the API."""
    key = await new_key(client)
    table = await create(client)
    [event] = (await client.get("/api/events?limit=1")).json()
    await new_consumer(client)
    return {
        "events": event["id"],
        "tables": table["id"],
        "workspaces": (await new_workspace(client))["id"],
        "keys": key["id"],
        "people": key["id"],
        "consumers": await parked(client),
        "webhooks": (await new_webhook(client))["id"],
        "audit": (await new_export(client))["id"],
        "companies": str(company),
    }
