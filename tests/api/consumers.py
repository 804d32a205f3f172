"""A consumer over HTTP, and those who read for it."""

from typing import Any

from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from tests.api.test_table_defs import create, path

COPY = "/api/consumers/copy"
PUBLIC = "dynamic-tables.table-def."
END_LEASES = "UPDATE consumers.partitions SET leased_until = now() WHERE leased_until > now()"

Json = dict[str, Any]


async def put(client: AsyncClient, address: str = COPY, **terms: Any) -> Json:
    """A consumer on these terms; a new one is told what happens from now on."""
    answer = await client.put(address, json={"start": "head"} | terms)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def shown(client: AsyncClient, address: str = COPY) -> Json:
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fetch(client: AsyncClient, **wish: Any) -> Json:
    """What is handed out; see `is_empty`."""
    answer = await client.post(f"{COPY}/fetch", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ack(client: AsyncClient, delivery: Json, position: str | None = None) -> Response:
    """Deal with all that was handed out, or with all up to a position."""
    said = {"lease": delivery["lease"], "position": position or delivery["position"]}
    return await client.post(f"{COPY}/ack", json=said)


async def nack(client: AsyncClient, delivery: Json, which: int = 0, **more: Any) -> Response:
    """Refuse one of the events that were handed out."""
    position = delivery["events"][which]["position"]
    said = {"lease": delivery["lease"], "position": position} | more
    return await client.post(f"{COPY}/nack", json=said)


async def refused(client: AsyncClient, delivery: Json, which: int = 0, **more: Any) -> Json:
    """What became of an event that was refused."""
    answer = await nack(client, delivery, which, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def drained(client: AsyncClient) -> list[str]:
    """The positions of all that is handed out now, and is dealt with."""
    found: list[str] = []
    while (delivery := await fetch(client))["events"]:
        found += positions(delivery)
        assert (await ack(client, delivery)).status_code == 204
    return found


async def happened(client: AsyncClient, table: Json | None = None, name: str = "X") -> str:
    """The position of one more event: a table is made, or gets another name."""
    if table is None:
        answer = await client.post("/api/tables", json={"name": name})
    else:
        answer = await client.patch(path(table), json={"name": name})
    assert answer.status_code in (200, 201), answer.text
    return answer.headers["event-position"]


async def parked(client: AsyncClient, error: str | None = None) -> tuple[Json, str]:
    """A table that is parked for the consumer, and the position of the event that was refused."""
    table = await create(client)
    delivery = await fetch(client)
    became = await refused(client, delivery, -1, error=error)
    assert became["parked"], became
    await drained(client)
    return table, delivery["events"][-1]["position"]


async def end_leases(sql: AsyncConnection) -> None:
    """Let the time of all readers be over."""
    await sql.execute(END_LEASES)


def positions(delivery: Json) -> list[str]:
    return [event["position"] for event in delivery["events"]]


def is_empty(delivery: Json) -> bool:
    """Whether there was nothing to hand out."""
    return delivery == {
        "lease": None, "leasedUntil": None, "partition": None, "events": [], "position": None,
    }  # fmt: skip
