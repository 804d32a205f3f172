"""What is another company's looks like nothing at all: for each operation, id, state and option.

The operations and their ids are those of the OpenAPI document. Ours is the company that tries,
theirs the one that must not show.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from api import keys
from api.keys import NewKey
from domain.containers import workspace_aggregate
from tests.api.conftest import WORKSPACE, Installation, Service, registered, two_companies
from tests.api.document import OPERATIONS, Operation, fields, is_id
from tests.api.tenants import new_key, new_workspace, one_of_each
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually, sized

pytestmark = pytest.mark.anyio

# What names nothing of a company by an id. Whatever else a new operation takes fails a test.
OTHER_PARAMETERS = {
    "limit", "cursor", "state", "sort", "q", "count", "name", "slug", "dryRun", "If-Match",
    "If-None-Match", "Idempotency-Key", "Reason", "Min-Position", "Prefer", "X-Request-Id",
    "traceparent", "after", "types", "wait", "Accept", "order", "type", "from", "to", "version",
    "asOf", "asOfPosition", "size", "Range", "If-Range",
}  # fmt: skip
OTHER_FIELDS = {
    "name", "slug", "description", "icon", "color", "settings/recordNameFormat",
    "settings/defaultView", "label", "role", "scopes/0", "expiresAt", "start", "position", "error",
    "url", "after", "until", "time", "asOf", "facets/0", "from", "to", "format",
}  # fmt: skip
OPTIONS: Mapping[str, tuple[str, str]] = {
    "dryRun": ("query", "true"),
    "state": ("query", "all"),
    "If-Match": ("header", '"1"'),
    "If-None-Match": ("header", "*"),
    "Idempotency-Key": ("header", "a key"),
}
MAKES = {"put_workspace"}  # what it names, if it is not there yet
KEEPS = {"put_consumer", "create_webhook", "change_webhook"}  # what it is told, whatever that means
HARMLESS = {"change_company": {"name": "Renamed"}, "replay_events": {"after": "0", "until": "1"}}
# Whatever they do, they do again if asked again; or it needs what only an earlier answer tells.
WITHOUT_KEYS = {"fetch_events", "acknowledge_events", "refuse_event", "test_webhook"}
NEEDS_MORE = {"redeliver"}
SECRET = re.compile(r"whsec_[^\"]+")
DRY_ID = re.compile(r'\{"id":"[0-9a-f-]{36}"')
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
OF_ONE = {"list_deliveries", "list_table_history"}  # of what only its company knows
OF_ONE_COMPANY = [each for each in OPERATIONS if each.scopes != ("companies:write",)]


@pytest.fixture(scope="module")
async def service(installation: Installation) -> Service:
    """Two companies for all tests here: what one of them tries must leave no trace."""
    return await two_companies(installation)


@pytest.fixture(scope="module")
async def victims(installation: Installation, service: Service) -> dict[str, str]:
    """Their ids, of everything in each of its states; and those of a company that was removed."""
    gone = await registered(installation)
    service.others.append(gone)
    found = {"company": str(service.theirs), "removed company": str(gone)}
    async with await AsyncConnection.connect(service.database, autocommit=True) as sql:
        admin = NewKey.make()
        await keys.store(sql, admin, gone, "admin", "admin")
        found |= {f"removed company's {kind}": id for kind, id in await _leftovers(service, admin)}
        async with service.client(company=service.theirs) as theirs:
            found |= await _tables(theirs)
            found |= await _workspaces(theirs)
            found |= await _keys_and_people(service, theirs, sql)
        found |= {
            f"{name} of the {topic}": str(id)
            for topic, event_id, aggregate_id in await _events(sql, service)
            for name, id in (("event", event_id), ("aggregate", aggregate_id))
        }
    async with service.client("platform") as platform:
        assert (await platform.delete(f"/api/companies/{gone}")).status_code == 204
    await _settled(service)
    by_id = {id: what for what, id in reversed(found.items())}  # a key and its person share one
    return {what: id for id, what in by_id.items()}


async def _leftovers(service: Service, admin: NewKey) -> list[tuple[str, str]]:
    async with service.with_token(str(admin)) as client:
        return list((await one_of_each(client, uuid4())).items())[:-1]


async def _tables(theirs: AsyncClient) -> dict[str, str]:
    made = {state: await create(theirs) for state in ("live", "deleted", "purged")}
    for state in ("deleted", "purged"):
        await theirs.delete(path(made[state]))
    await theirs.post(path(made["purged"]) + "/purge")
    return {f"{state} table": table["id"] for state, table in made.items()}


async def _workspaces(theirs: AsyncClient) -> dict[str, str]:
    live, deleted = await new_workspace(theirs), await new_workspace(theirs)
    for workspace in (live, deleted):
        await create(theirs, workspaceId=workspace["id"])
    await theirs.delete(f"/api/workspaces/{deleted['id']}")
    return {"live workspace": live["id"], "deleted workspace": deleted["id"]}


async def _keys_and_people(
    service: Service, theirs: AsyncClient, sql: AsyncConnection
) -> dict[str, str]:
    found = {}
    for state in ("live", "revoked", "rotated", "erased", "expired"):
        found[f"{state} key"] = (await new_key(theirs))["id"]
    await theirs.delete(f"/api/keys/{found['revoked key']}")
    await theirs.post(f"/api/keys/{found['rotated key']}/rotate")
    await theirs.delete(f"/api/people/{found['erased key']}")
    past = datetime.now(UTC) - timedelta(days=1)
    expire = "UPDATE access.api_keys SET expires_at = %s WHERE id = %s"
    await sql.execute(expire, (past, found["expired key"]))
    for state in ("known", "erased"):
        person = uuid4()
        await service.app.state.services.directory.note(service.theirs, person, f"Ada {state}")
        found[f"{state} person"] = str(person)
    await theirs.delete(f"/api/people/{found['erased person']}")
    return found


async def _events(sql: AsyncConnection, service: Service) -> list[tuple[str, Any, Any]]:
    query = """SELECT DISTINCT ON (topic) topic, event_id, originator_id
                 FROM event_store.events WHERE company_id = %s"""
    return await (await sql.execute(query, (service.theirs,))).fetchall()


async def _settled(service: Service) -> None:
    """Nothing happens any more, so that answers change for no other reason."""
    async with await AsyncConnection.connect(service.database, autocommit=True) as sql:

        async def caught_up() -> bool:
            query = """SELECT FROM projections.positions WHERE position < event_store.head()
                       UNION ALL SELECT FROM event_store.memberships m
                         JOIN event_store.containers c ON c.id = m.member_id
                         JOIN event_store.containers w ON w.id = m.container_id
                        WHERE c.live AND NOT w.live"""
            return (await sql.execute(query)).rowcount == 0

        await eventually(caught_up)


def places(operation: Operation) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Where an operation takes an id: path, query, header or body, and under which name."""
    for name, parameter in operation.parameters.items():
        if is_id(parameter):
            yield parameter["in"], (name,)
    for at in fields(operation.schema or {}, "uuid"):
        yield "body", at


def variants(operation: Operation) -> Iterator[tuple[str, ...]]:
    """None of the options that an operation has, each alone, and all; at length every set."""
    known = [name for name in OPTIONS if operation.takes(name)]
    every = range(len(known) + 1)
    for size in sized(sorted({*every[:2], *every[-1:]}), [*every]):
        yield from itertools.combinations(known, size)


async def ask(
    client: AsyncClient,
    operation: Operation,
    place: tuple[str, tuple[str, ...]],
    id: str,
    options: tuple[str, ...] = (),
    own: Mapping[str, str] | None = None,
) -> Response:
    """Use an id in this place, with everything else as it should be."""
    where, at = place
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for name in options:
        part, value = OPTIONS[name]
        given[part][name] = f"{uuid4()}" if name == "Idempotency-Key" else value
    if operation.names_one:
        given["path"]["id"] = (own or {}).get(operation.collection, str(uuid4()))
    body = operation.body
    if where == "body":
        body = put_in(body, at, id)
    else:
        given[where][at[0]] = id
    return await operation.call(client, given["path"], given["query"], given["header"], body)


def put_in(body: Any, at: tuple[str, ...], value: str) -> Any:
    """A copy of a body with a value at this place."""
    if not at:
        return value
    if at[0] == "0":
        return [put_in({}, at[1:], value)]
    return {**(body or {}), at[0]: put_in((body or {}).get(at[0]), at[1:], value)}


def masked(answer: Response, id: str) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without the id that was asked for, and without what makes each one different."""
    request_id = answer.headers["x-request-id"]

    def mask(text: str) -> str:
        return text.replace(request_id, "…").replace(id, "(id)")

    headers = [(name, mask(value)) for name, value in answer.headers.multi_items()]
    text = mask(answer.text)
    if answer.status_code == 201:  # ours, made under an id that was free to us, or of its own
        varying = ("event-position", "location")
        headers = [(name, value) for name, value in headers if name not in varying]
        text = TIME.sub("(time)", SECRET.sub("(secret)", text.replace(_made(answer), "(made)")))
    if '"dryRun":true' in text or answer.request.method == "PATCH":
        text = TIME.sub("(time)", DRY_ID.sub('{"id":"(made)"', text))
    return answer.status_code, headers, text


def _made(answer: Response) -> str:
    """The id of what was created."""
    return str(answer.json().get("id", "(none)"))


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.id not in MAKES | KEEPS],
    ids=lambda each: each.id,
)
async def test_another_companys_id_is_answered_exactly_like_a_random_one(
    service: Service, victims: dict[str, str], operation: Operation
) -> None:
    async with service.client() as admin, service.client("platform") as platform:
        own = await one_of_each(admin, service.ours)
        await _settled(service)
        before = await service.kept()
        for caller in (admin, platform):
            for place in places(operation):
                for options in variants(operation):
                    await compare(caller, operation, place, options, victims, own)
        assert await service.kept() == before


async def compare(
    caller: AsyncClient,
    operation: Operation,
    place: tuple[str, tuple[str, ...]],
    options: tuple[str, ...],
    victims: Mapping[str, str],
    own: Mapping[str, str],
) -> None:
    unknown = str(uuid4())
    random = masked(await ask(caller, operation, place, unknown, options, own), unknown)
    for what, id in victims.items():
        if operation.collection == "companies" and random[0] != 403 and is_company(what):
            continue  # the platform's own business
        answer = await ask(caller, operation, place, id, options, own)
        assert masked(answer, id) == random, (what, place, options)
    assert random[0] in (200, 201, 204, 304, 403, 404, 409, 422), random
    if random[0] == 422:
        assert '"pointer":"/workspaceId"' in random[2]
    if random[0] == 409:
        assert place[1] == ("lease",)


def is_company(what: str) -> bool:
    """Whether an id is that of a company, which is also its aggregate's."""
    return what in ("company", "removed company") or what == "aggregate of the Company.Registered"


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id in MAKES], ids=lambda each: each.id
)
async def test_what_is_made_under_another_companys_id_is_made_as_under_a_random_one(
    installation: Installation, service: Service, victims: dict[str, str], operation: Operation
) -> None:
    """Their own is not touched, and nobody learns that there are two."""
    before, makers = await service.kept(), []
    for options in variants(operation):
        maker = await two_companies(installation)  # for whom all of these ids are free
        makers.append(maker.ours)
        async with maker.client() as caller:
            for place in places(operation):
                await compare(caller, operation, place, options, victims, {})
    after = await service.kept()
    assert before <= after
    makers_own = {row for row in after - before if any(str(maker) in row[1] for maker in makers)}
    assert sum("Workspace.Created" in row for _, row in makers_own) > len(victims)
    assert not any(id in row for _, row in after - before - makers_own for id in victims.values())


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id in KEEPS], ids=lambda each: each.id
)
async def test_who_asks_for_the_events_of_their_table_learns_nothing(
    installation: Installation, service: Service, victims: dict[str, str], operation: Operation
) -> None:
    for options in ((), ("dryRun",)):
        maker = await two_companies(installation)
        async with maker.client() as caller:
            own = await one_of_each(caller, maker.ours)
            for place in places(operation):
                await compare(caller, operation, place, options, victims, own)


async def test_everything_that_an_operation_takes_is_an_id_or_known_to_be_none() -> None:
    for operation in OPERATIONS:
        for name, parameter in operation.parameters.items():
            assert is_id(parameter) or name in OTHER_PARAMETERS, (operation.id, name)
        texts, ids = (set(fields(operation.schema or {}, k)) for k in ("string", "uuid"))
        assert {"/".join(at) for at in texts - ids} <= OTHER_FIELDS, operation.id


async def test_the_ids_of_all_kinds_and_states_are_tried(victims: dict[str, str]) -> None:
    """The generated tests are no better than what they try."""
    assert {
        "company", "removed company", "live table", "deleted table", "purged table",
        "live workspace", "deleted workspace", "live key", "revoked key", "expired key",
        "rotated key", "erased key", "known person", "erased person",
        "removed company's tables", "removed company's workspaces", "removed company's keys",
    } <= victims.keys()  # fmt: skip
    tried = {(operation.id, *at) for operation in OPERATIONS for _, at in places(operation)}
    assert {
        ("get_table", "id"), ("create_table", "workspaceId"), ("change_table", "workspaceId"),
        ("duplicate_table", "workspaceId"), ("list_tables", "workspaceId"),
        ("list_tables", "updatedBy"), ("put_workspace", "id"), ("rotate_key", "id"),
        ("erase_person", "id"), ("remove_company", "id"),
    } <= tried  # fmt: skip


async def test_their_slugs_are_answered_like_those_that_nobody_has(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    slugs = {state: await create(stranger, slug=f"their-{state}") for state in ("live", "deleted")}
    moved = await create(stranger, slug="their-former")
    await stranger.patch(path(moved), json={"slug": "their-present"})
    await stranger.delete(path(slugs["deleted"]))
    await _settled(service)
    for state in ("active", "deleted", "all"):
        params = {"state": state}
        random = await client.get("/api/tables/by-slug/nobody-s", params=params)
        for slug in ("their-live", "their-deleted", "their-former", "their-present"):
            answer = await client.get(f"/api/tables/by-slug/{slug}", params=params)
            assert masked(answer, slug) == masked(random, "nobody-s")
    for slug in ("their-live", "their-deleted", "their-present"):
        suggested = await client.get("/api/tables/slug-suggestion", params={"name": slug})
        assert suggested.json() == {"slug": slug}


async def test_what_a_company_reads_holds_nothing_of_anothers(
    service: Service, victims: dict[str, str]
) -> None:
    secrets = set(victims.values())
    workspace = str(workspace_aggregate(service.ours, WORKSPACE))
    async with service.client() as admin:
        for operation in OF_ONE_COMPANY:
            if operation.writes or operation.names_one:
                continue
            query = {"state": "all"} if operation.takes("state") else None
            text = (await operation.call(admin, {"slug": "orders"}, query)).text
            assert not any(secret in text for secret in secrets), operation.id
            assert "Ada known" not in text
            assert workspace not in text  # nor what an id is inside


async def test_a_list_does_not_tell_that_others_write(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    """Its ETag stays, also with a total; the position is that of all companies, as documented."""
    lists = [each for each in OF_ONE_COMPANY if each.takes("cursor")]
    ids = await one_of_each(client, service.ours)
    assert len(lists) >= 6

    async def shown() -> list[tuple[int, dict[str, str], str]]:
        answers = []
        for each in lists:
            query = {"state": "all", "count": "true"}
            query = {name: value for name, value in query.items() if each.takes(name)}
            answers.append(await each.call(client, {"id": ids[each.collection]}, query))
        varying = ("x-request-id", "event-position")
        return [
            (a.status_code, {k: v for k, v in a.headers.items() if k not in varying}, a.text)
            for a in answers
        ]

    await _settled(service)
    async with await AsyncConnection.connect(service.database, autocommit=True) as sql:
        await sql.execute("UPDATE access.api_keys SET last_used_at = now()")  # noted each minute
    before = await shown()
    await one_of_each(stranger, service.theirs)
    await _settled(service)
    assert await shown() == before
    assert {"etag", "link", "content-type", "content-length", "x-content-type-options"} >= {
        name for _, headers, _ in before for name in headers
    }


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.takes("cursor") and each.id not in OF_ONE],
    ids=lambda each: each.id,
)
async def test_a_cursor_is_good_for_whoever_got_it_alone(
    service: Service, client: AsyncClient, stranger: AsyncClient, operation: Operation
) -> None:
    platform = operation.scopes == ("companies:write",)
    for each in (client, stranger):
        for _ in range(2):
            await one_of_each(each, service.ours)
    await _settled(service)
    async with service.client("platform") as registrar:
        caller = registrar if platform else client
        page = (await operation.call(caller, {}, {"limit": "1"})).json()
        cursor = page["nextCursor"]
        assert (await operation.call(caller, {}, {"cursor": cursor})).status_code == 200
        for other in (client, stranger, registrar):
            if other is caller:
                continue
            answer = await operation.call(other, {}, {"limit": "1", "cursor": cursor})
            assert answer.json()["code"] in ("invalid-cursor", "forbidden"), operation.id
            random = await operation.call(other, {}, {"limit": "1", "cursor": "AAAA"})
            assert masked(answer, cursor) == masked(random, "AAAA")


@pytest.mark.parametrize(
    "operation",
    [
        each for each in OF_ONE_COMPANY
        if each.writes and each.id not in WITHOUT_KEYS | NEEDS_MORE
    ],
    ids=lambda each: each.id,
)  # fmt: skip
async def test_companies_share_no_idempotency_keys(
    service: Service, client: AsyncClient, stranger: AsyncClient, operation: Operation
) -> None:
    assert operation.takes("Idempotency-Key")
    headers, positions = {"Idempotency-Key": f"the-same-for-{operation.id}"}, set()
    for company, caller in ((service.ours, client), (service.theirs, stranger)):
        ids = await one_of_each(caller, company)
        if operation.id == "purge_table":
            await caller.delete(f"/api/tables/{ids['tables']}")
        named = {"id": ids[operation.collection]} if operation.names_one else {}
        body = HARMLESS.get(operation.id)
        answer = await operation.call(caller, named, headers=headers, body=body)
        assert answer.status_code in (200, 201, 202, 204), answer.text
        assert "idempotency-replayed" not in answer.headers
        positions.add(answer.headers.get("event-position"))
        other = await operation.call(caller, {"id": str(uuid4())}, {}, headers, body={"name": "Y"})
        if not operation.names_one:
            assert other.json()["code"] in ("idempotency-key-reused", "validation")
    assert len(positions) == 2 or positions == {None}


async def test_their_secret_does_not_open_our_key(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    ours, theirs = await new_key(client), await new_key(stranger)
    mixed = f"dtk_{ours['key'].split('_')[1]}_{theirs['key'].split('_')[2]}"
    async with service.with_token(mixed) as caller:
        assert_problem(await caller.get("/api/me"), 401, "unauthenticated")


async def test_both_have_a_workspace_of_one_id_and_each_its_own(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    address = f"/api/workspaces/{WORKSPACE}"
    table = await create(stranger, workspaceId=str(WORKSPACE))
    await client.patch(address, json={"name": "Ours"})
    assert (await stranger.get(address)).json()["name"] == "Sales"
    await client.delete(address)
    try:
        assert (await stranger.get(address)).status_code == 200
        assert (await stranger.get(path(table))).status_code == 200
        await create(stranger, workspaceId=str(WORKSPACE))
    finally:
        await client.post(f"{address}/restore")
