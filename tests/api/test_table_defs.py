"""Table definitions over HTTP: what was written is what is read back."""

import pytest
from httpx import AsyncClient

pytestmark = pytest.mark.anyio


async def test_what_was_created_is_in_the_list(client: AsyncClient) -> None:
    created = await client.post("/api/tables", json={"name": "Orders"})
    assert created.status_code == 201
    listed = (await client.get("/api/tables")).json()
    assert listed == {"items": [created.json()], "nextCursor": None}


async def test_a_stranger_sees_nothing(client: AsyncClient, stranger: AsyncClient) -> None:
    created = await client.post("/api/tables", json={"name": "Orders"})
    theirs = await stranger.get(created.headers["location"])
    assert theirs.status_code == 404
