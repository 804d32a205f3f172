"""The schema of each type of event: to be had by anybody, and true."""

from typing import Any

import jsonschema
import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from api.contracts import FRESH, SCHEMA
from api.event_types import EventType, event_types
from domain.base import Event
from domain.recorded import event_classes
from tests.api.conftest import Service
from tests.api.happenings import (
    SAMPLES,
    as_seen,
    events_of_every_type,
    made_up,
    sampled,
    seen,
)
from tests.api.test_table_defs import assert_problem

pytestmark = pytest.mark.anyio

RENAMED = "dynamic-tables.table-def.renamed.v1"
TYPES = list(event_types().values())


def says_what_its_schema_says(item: dict[str, Any]) -> None:
    if item.get("erased"):
        assert item["data"] is None
        return
    schema = event_types()[item["type"]].schema
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(item["data"])


# The schemas


@pytest.mark.parametrize("each", TYPES, ids=lambda each: each.name)
def test_a_schema_is_valid_described_and_its_examples_are_what_it_says(each: EventType) -> None:
    schema = each.schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == each.address == f"/api/schemas/{each.name}"
    assert schema["title"]
    assert schema["description"].startswith(each.summary)
    assert "null" in schema["description"]
    assert schema["examples"]
    for example in schema["examples"]:
        assert example.keys() == schema["properties"].keys()
        says_what_its_schema_says({"type": each.name, "data": example})


def test_there_is_a_schema_of_every_event_and_none_of_its_envelope() -> None:
    assert len(TYPES) == len(event_classes())
    hidden = {"originatorId", "originatorVersion", "originatorTopic", "timestamp", "metadata"}
    for each in TYPES:
        assert not hidden & each.schema["properties"].keys()
        assert "$defs" not in each.schema


def test_a_schema_lets_fields_be_added() -> None:
    for each in TYPES:
        says_what_its_schema_says({"type": each.name, "data": {**each.example, "new": {"a": 1}}})


def test_a_schema_refuses_what_no_event_says() -> None:
    for data in ({}, {"name": None}, {"name": 1}, [], None):
        with pytest.raises(jsonschema.ValidationError):
            says_what_its_schema_says({"type": RENAMED, "data": data})


# Are they true?


async def test_every_event_of_a_living_company_is_what_its_schema_says(
    client: AsyncClient, platform: AsyncClient
) -> None:
    for item, event in await events_of_every_type(client, platform):
        says_what_its_schema_says(item)
        says_what_its_schema_says(event)
        assert event["dataschema"] == event_types()[event["type"]].address


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_any_release_stored_is_what_the_schema_says(sample: str) -> None:
    for each in sampled(sample):
        says_what_its_schema_says(each)


@pytest.mark.parametrize("event_class", event_classes().values(), ids=event_classes())
def test_any_event_that_can_be_made_is_what_its_schema_says(event_class: type[Event]) -> None:
    @given(made_up(event_class))
    def check(event: Event) -> None:
        for each in as_seen(event):
            says_what_its_schema_says(each)

    check()


@given(st.sampled_from(list(event_classes())))
def test_an_erased_event_says_nothing(topic: str) -> None:
    for each in seen(topic, None):
        assert (each["data"], each["erased"]) == (None, True)


# Over HTTP


async def test_anybody_may_read_the_list_and_every_schema_in_it(
    service: Service, anyone: AsyncClient
) -> None:
    answer = await anyone.get("/api/schemas")
    assert answer.status_code == 200
    listed = answer.json()
    assert listed["nextCursor"] is None
    assert [each["type"] for each in listed["items"]] == sorted(event_types())
    for each in listed["items"]:
        one = await anyone.get(each["schema"])
        assert one.headers["content-type"] == SCHEMA
        assert one.json() == event_types()[each["type"]].schema
        assert one.json()["title"] == each["title"]


@pytest.mark.parametrize("address", ["/api/schemas", f"/api/schemas/{RENAMED}", "/asyncapi.json"])
async def test_what_changes_with_releases_alone_may_be_kept(
    anyone: AsyncClient, address: str
) -> None:
    first = await anyone.get(address)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == FRESH
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = await anyone.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == FRESH
    other = await anyone.get(address, headers={"If-None-Match": '"x"'})
    assert other.content == first.content
    head = await anyone.head(address)
    assert (head.status_code, head.headers["etag"]) == (200, etag)


@pytest.mark.parametrize("name", ["x", "TableDef.Renamed", f"{RENAMED}.1", RENAMED.upper(), "é"])
async def test_an_unknown_type_is_not_found(anyone: AsyncClient, name: str) -> None:
    assert_problem(await anyone.get(f"/api/schemas/{name}"), 404, "not-found")


async def test_wrong_credentials_do_not_matter(anyone: AsyncClient) -> None:
    wrong = {"Authorization": "Bearer dtk_x_y"}
    assert (await anyone.get(f"/api/schemas/{RENAMED}", headers=wrong)).status_code == 200
    written = await anyone.post(f"/api/schemas/{RENAMED}")
    assert_problem(written, 405, "method-not-allowed")
