"""The AsyncAPI document: valid, complete, and true."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from httpx import AsyncClient
from hypothesis import given
from standardwebhooks import Webhook

from api.__main__ import cli
from api.asyncapi import document
from api.event_types import event_types
from domain.base import Event
from domain.recorded import event_classes
from tests.api.asyncapi_specs import official_schema
from tests.api.conftest import Service
from tests.api.happenings import (
    SAMPLES,
    Pair,
    as_seen,
    events_of_every_type,
    made_up,
    sampled,
    seen,
)
from tests.domain.vocabulary import TABLE

pytestmark = pytest.mark.anyio

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document("0.1.0")))
COMPONENTS = DOCUMENT["components"]
# AsyncAPI extends the one; what is new in the other is what event schemas are published in.
DIALECTS = (jsonschema.Draft7Validator, jsonschema.Draft202012Validator)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else ()
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def messages(channel: str) -> dict[str, Any]:
    """The messages of a channel with what they refer to in their places."""
    found = {}
    for name, each in DOCUMENT["channels"][channel]["messages"].items():
        message = resolved(each["$ref"]) if "$ref" in each else each
        for trait in message.get("traits", ()):
            message = resolved(trait["$ref"]) | message
        found[name] = message
    return found


@cache
def validators(schema: str) -> list[Any]:
    whole = {"$ref": schema, "components": COMPONENTS}
    return [dialect(whole, format_checker=dialect.FORMAT_CHECKER) for dialect in DIALECTS]


def fits(message: dict[str, Any], payload: Any) -> None:
    for validator in validators(message["payload"]["$ref"]):
        validator.validate(payload)


def both_fit(pair: Pair) -> None:
    """An event is what the document says of it, in each channel that it is sent through."""
    item, event = pair
    for channel in ("feed", "stream", "webhook"):
        fits(messages(channel)[item["type"]], item)
    fits(messages("feed")[f"{event['type']}.cloudevent"], event)
    fits(messages("nats")[event["type"]], event)


# Valid


def test_it_is_valid_by_the_official_schema_which_would_tell() -> None:
    validator = jsonschema.Draft7Validator(official_schema())
    assert DOCUMENT["asyncapi"] == "3.0.0"
    validator.validate(DOCUMENT)
    wrong = {"readFeed": {"action": "publish", "channel": {}}}
    assert not validator.is_valid({**DOCUMENT, "operations": wrong})


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 4 * len(event_types())
    for reference in found:
        assert resolved(reference)


def test_every_schema_is_valid_in_both_dialects() -> None:
    for schema in COMPONENTS["schemas"].values():
        for dialect in DIALECTS:
            dialect.check_schema(schema)


def test_every_parameter_of_an_address_is_described() -> None:
    for channel in DOCUMENT["channels"].values():
        named = set(re.findall(r"{(\w+)}", channel["address"]))
        assert named == set(channel.get("parameters", {}))


# Complete


def test_every_type_is_a_message_of_every_channel() -> None:
    types = set(event_types())
    assert set(DOCUMENT["channels"]) == {"feed", "stream", "webhook", "nats"}
    for channel in ("stream", "webhook", "nats"):
        assert set(messages(channel)) == types
    assert set(messages("feed")) == types | {f"{name}.cloudevent" for name in types}
    assert {op["channel"]["$ref"] for op in DOCUMENT["operations"].values()} == {
        f"#/channels/{name}" for name in DOCUMENT["channels"]
    }


def test_a_message_has_the_form_and_headers_of_its_channel() -> None:
    for name, each in messages("webhook").items():
        assert (each["name"], each["contentType"]) == (name, "application/json")
        assert set(each["headers"]["required"]) == {
            "webhook-id", "webhook-timestamp", "webhook-signature",
        }  # fmt: skip
    for name, each in messages("nats").items():
        assert (each["name"], each["contentType"]) == (name, "application/cloudevents+json")
        assert each["headers"]["required"] == ["Nats-Msg-Id"]


def test_what_a_library_signs_has_the_headers_of_a_webhook() -> None:
    sent, secret = datetime.now(UTC), base64.b64encode(bytes(24)).decode()
    signature = Webhook(f"whsec_{secret}").sign(str(TABLE), sent, "{}")
    headers = {
        "webhook-id": str(TABLE),
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": signature,
    }
    schema = COMPONENTS["messageTraits"]["webhook"]["headers"]
    rotating = {"webhook-signature": f"{signature} {signature}"}
    for signed in (headers, headers | rotating):
        jsonschema.Draft7Validator(schema).validate(signed)
    unsigned = {"webhook-signature": signature.removeprefix("v1,")}
    assert not jsonschema.Draft7Validator(schema).is_valid(headers | unsigned)


def test_the_subject_in_nats_is_made_of_the_parts_of_a_type() -> None:
    channel = DOCUMENT["channels"]["nats"]
    assert channel["address"] == "dynamic-tables.{company}.{noun}.{event}"
    for name in messages("nats"):
        _, noun, event, _ = name.split(".")
        assert noun in channel["parameters"]["noun"]["enum"]
        assert event in channel["parameters"]["event"]["enum"]


async def test_an_operation_that_reads_says_by_what_parameters_and_credentials(
    service: Service,
) -> None:
    paths = service.app.openapi()["paths"]
    for name in ("readFeed", "streamEvents"):
        operation = DOCUMENT["operations"][name]
        binding = operation["bindings"]["http"]
        said = paths[resolved(operation["channel"]["$ref"])["address"]]["get"]
        parameters = {each["name"] for each in said["parameters"] if each["in"] == "query"}
        assert (binding["method"], set(binding["query"]["properties"])) == ("GET", parameters)
        assert len(operation["security"]) == len(said["security"]) == 2
        assert "events:read" in operation["description"]
        assert "null" not in json.dumps(binding["query"])


# True


def test_every_example_is_what_its_message_says() -> None:
    for channel in DOCUMENT["channels"]:
        for name, message in messages(channel).items():
            for example in message["examples"]:
                assert example["payload"]["type"] == message["name"], name
                fits(message, example["payload"])


async def test_every_event_of_a_living_company_is_what_its_message_says(
    client: AsyncClient, platform: AsyncClient
) -> None:
    for pair in await events_of_every_type(client, platform):
        both_fit(pair)
        for known, each in zip(("Event", "CloudEvent"), pair, strict=True):
            assert each.keys() <= COMPONENTS["schemas"][known]["properties"].keys()


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_any_release_stored_is_what_its_message_says(sample: str) -> None:
    both_fit(sampled(sample))


@pytest.mark.parametrize("event_class", event_classes().values(), ids=event_classes())
def test_any_event_that_can_be_made_is_what_its_message_says(event_class: type[Event]) -> None:
    @given(made_up(event_class))
    def check(event: Event) -> None:
        both_fit(as_seen(event))

    check()


@pytest.mark.parametrize("topic", event_classes())
def test_an_erased_event_is_what_its_message_says(topic: str) -> None:
    both_fit(seen(topic, None))


def test_a_message_refuses_what_is_of_another_type_or_says_something_else() -> None:
    item, event = sampled("TableDef.Renamed.v1")
    for channel, payload in (("feed", item), ("nats", event)):
        message = messages(channel)[payload["type"]]
        fits(message, payload)
        wrong = [payload | {"type": "dynamic-tables.table-def.deleted.v1"}, payload | {"data": {}}]
        wrong += [{k: v for k, v in payload.items() if k != missing} for missing in ("id", "data")]
        for each in wrong:
            with pytest.raises(jsonschema.ValidationError):
                fits(message, each)


async def test_it_is_served_to_anybody_and_printed_as_it_is_served(
    service: Service, anyone: AsyncClient
) -> None:
    answer = await anyone.get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document(service.app.version)
    printed = CliRunner().invoke(cli, ["asyncapi"])
    assert json.loads(printed.stdout) == answer.json()
