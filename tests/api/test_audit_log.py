"""The tamper-evident log over HTTP: what it shows can be verified with published algorithms."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from application.audit_log import keys, merkle
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.leaf import leaf_data
from application.audit_log.note import VerifierKey, open_note
from application.audit_log.rebuilding import rebuild
from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create
from tests.conftest import eventually
from tests.contracts.logged import Logged, logged

pytestmark = pytest.mark.anyio
KEYS, CHECKPOINT, PROOFS = "/api/audit/keys", "/api/audit/checkpoint", "/api/audit/proofs"


@pytest.fixture
async def log(service: Service) -> AsyncIterator[Logged]:
    """A log of everything that happened, by which the head of our company is signed."""
    async with logged(service.database) as made:
        await made.keep()
        yield made


async def signed(client: AsyncClient) -> Checkpoint:
    """The last head, as somebody sees it who trusts the keys of now."""
    known = [VerifierKey.parse(each["key"]) for each in (await client.get(KEYS)).json()["items"]]
    answer = await client.get(CHECKPOINT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return Checkpoint.open(answer.text, known)


def decoded(hashes: Any) -> list[bytes]:
    return [base64.b64decode(each) for each in hashes]


async def test_before_anything_is_signed_there_is_nothing_to_show(client: AsyncClient) -> None:
    query = {"eventId": str(uuid4())}
    assert_problem(await client.get(CHECKPOINT), 404, "not-found")
    assert_problem(await client.get(f"{PROOFS}/inclusion", params=query), 404, "not-found")
    assert_problem(await client.get(f"{PROOFS}/consistency?from=1"), 404, "not-found")


async def test_every_event_can_be_proved_to_be_in_the_log(
    service: Service, client: AsyncClient, log: Logged
) -> None:
    for _ in range(3):
        await create(client)
    await log.keep()
    head = await signed(client)
    assert head.origin.endswith(f"/companies/{service.ours}")
    events = (await client.get("/api/events")).json()
    assert head.size == len(events)
    for index, event in enumerate(events):
        answer = await client.get(f"{PROOFS}/inclusion", params={"eventId": event["id"]})
        proof = answer.json()
        leaf = proof["leaf"]
        assert (proof["index"], proof["size"], leaf["eventId"]) == (index, head.size, event["id"])
        data = leaf_data(
            UUID(leaf["companyId"]), int(leaf["position"]), UUID(leaf["aggregateId"]),
            leaf["version"], leaf["topic"], UUID(leaf["eventId"]),
            datetime.fromisoformat(leaf["recordedAt"]), bytes.fromhex(leaf["commitment"]),
        )  # fmt: skip
        [hash] = decoded([proof["leafHash"]])
        assert hash == merkle.leaf_hash(data)
        hashes = decoded(proof["hashes"])
        assert merkle.verify_inclusion(hash, index, head.size, hashes, head.root)


async def test_a_later_head_can_be_proved_to_extend_an_earlier_one(
    client: AsyncClient, log: Logged
) -> None:
    heads = [await signed(client)]
    for count in (1, 4):
        for _ in range(count):
            await create(client)
        await log.keep()
        heads.append(await signed(client))
    *earlier, last = heads
    for head in earlier:
        proof = (await client.get(f"{PROOFS}/consistency?from={head.size}")).json()
        assert (proof["from"], proof["to"]) == (head.size, last.size)
        assert decoded([proof["fromRootHash"], proof["rootHash"]]) == [head.root, last.root]
        hashes = decoded(proof["hashes"])
        assert merkle.verify_consistency(head.size, last.size, head.root, last.root, hashes)


async def test_no_proof_is_given_of_what_no_head_signs(
    service: Service, client: AsyncClient, log: Logged
) -> None:
    size = (await signed(client)).size
    await create(client)
    new = (await client.get("/api/events")).json()[-1]["id"]
    first = (await client.get("/api/events?limit=1")).json()[0]["id"]
    async with service.client(company=service.theirs) as theirs:
        other = (await theirs.get("/api/events")).json()[0]["id"]
    for id in (new, other, str(uuid4())):
        answer = await client.get(f"{PROOFS}/inclusion", params={"eventId": id})
        assert_problem(answer, 404, "not-found")
    for query in (
        f"inclusion?eventId={first}&size={size + 1}", f"inclusion?eventId={first}&size=0",
        f"consistency?from={size + 1}", f"consistency?from=1&to={size + 1}",
        "consistency?from=2&to=1", "consistency?from=-1", "consistency", "consistency?from=x",
        "inclusion?eventId=x", "inclusion",
    ):  # fmt: skip
        assert_problem(await client.get(f"{PROOFS}/{query}"), 422, "validation")


async def test_keys_are_shown_without_their_secrets(client: AsyncClient, log: Logged) -> None:
    await keys.rotate(log.owner)
    await log.keep()
    new, old, *_ = (shown := (await client.get(KEYS)).json())["items"]
    assert (new["retiredAt"], bool(old["retiredAt"])) == (None, True)
    both = [VerifierKey.parse(each["key"]) for each in (old, new)]
    assert open_note(shown["handover"], both).verified == tuple(both)
    assert "PRIVATE" not in str(shown)


async def test_the_feed_tells_the_last_head(client: AsyncClient, log: Logged) -> None:
    async def told() -> bool:
        expected = (await client.get(CHECKPOINT)).text
        answer = await client.get("/api/events")
        given = base64.b64decode(answer.headers.get("audit-checkpoint", "")).decode()
        return given == expected

    await eventually(told, 3)
    await create(client)
    await log.keep()
    await eventually(told, 3)
    lines = await client.get("/api/events", headers={"Accept": "application/x-ndjson"})
    assert "audit-checkpoint" in lines.headers


async def test_the_feed_goes_on_without_a_head(client: AsyncClient) -> None:
    assert "audit-checkpoint" not in (await client.get("/api/events")).headers


async def test_an_altered_log_is_told_with_the_head_that_it_does_not_extend(
    service: Service, client: AsyncClient, log: Logged
) -> None:
    note = (await client.get(CHECKPOINT)).text
    await log.tamper(
        "UPDATE event_store.events SET topic = 'T' WHERE company_id = %s", service.ours
    )
    assert (await rebuild(log.conninfo))[1] == 1
    problem = assert_problem(await client.get(CHECKPOINT), 409, "audit-log-altered")
    assert problem["checkpoint"] == note
    assert problem["refusedAt"] > "2026"
    assert_problem(await client.get(f"{PROOFS}/consistency?from=1"), 409, "audit-log-altered")
    async with service.client(company=service.theirs) as theirs:
        assert (await theirs.get(CHECKPOINT)).status_code == 200
