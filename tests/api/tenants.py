"""What a company has besides tables, as its admin makes it over HTTP."""

from typing import Any
from uuid import UUID

from httpx import AsyncClient, Response

from api.keys import NewKey
from tests.api.test_table_defs import create


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


def key_id(token: str) -> str:
    """The id of a key, which is also that of the actor who comes with it."""
    return str(NewKey.parse(token).id)


async def one_of_each(client: AsyncClient, company: UUID) -> dict[str, str]:
    """The id of something live of each kind, by the collection in the paths of the API."""
    key = await new_key(client)
    table = await create(client)
    [event] = (await client.get("/api/events?limit=1")).json()
    return {
        "events": event["id"],
        "tables": table["id"],
        "workspaces": (await new_workspace(client))["id"],
        "keys": key["id"],
        "people": key["id"],
        "companies": str(company),
    }
