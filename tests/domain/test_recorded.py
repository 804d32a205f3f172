"""Events as bytes: what was ever stored can be read, and what cannot be read says so.

`topics.json` lists the fields of every event as they were promised; a field may be added to an
event, never taken away, renamed or given another type. `samples/` holds stored bytes of every event
and class version.
"""

import json
import subprocess
import sys
from copy import deepcopy
from datetime import timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.base import Event
from domain.errors import UnreadableEvent
from domain.recorded import decode, encode, event_classes, upcast
from domain.table_def import TableDef
from tests.domain.vocabulary import COMPANY, NOON, TABLE, Given, change, context, new

HERE = Path(__file__).parent
SAMPLES = {path.stem: path.read_bytes() for path in sorted((HERE / "samples").glob("*.json"))}
Promises = dict[str, dict[str, Any]]


def topic_of(sample: str) -> tuple[str, int]:
    """`TableDef.Created.v1` is class version 1 of `TableDef.Created`."""
    topic, _, version = sample.rpartition(".v")
    return topic, int(version)


def read(topic: str, state: bytes, version: int = 1) -> Event:
    return decode(topic, TABLE, version, state)


# Promises


@cache
def present() -> Promises:
    """The class version and the fields of every event, as they are now."""
    return {topic: described(event_class) for topic, event_class in event_classes().items()}


def described(event_class: type[Event]) -> dict[str, Any]:
    schema = event_class.model_json_schema()
    envelope = {"originatorId", "originatorVersion", "originatorTopic", "timestamp", "metadata"}
    return {
        "classVersion": event_class.class_version,
        "fields": {
            name: {key: value for key, value in field.items() if key not in ("title", "default")}
            for name, field in schema["properties"].items()
            if name not in envelope
        },
        "required": sorted(set(schema["required"]) - envelope),
    }


def broken(promised: Promises, kept: Promises) -> list[str]:
    """What was promised and is not kept."""
    faults = []
    for topic, promise in promised.items():
        event = kept.get(topic)
        if event is None:
            faults.append(f"{topic} is gone")
            continue
        if event["classVersion"] < promise["classVersion"]:
            faults.append(f"{topic} has a lower class version")
        faults += [
            f"{topic}.{name} is gone or has another type"
            for name, kind in promise["fields"].items()
            if event["fields"].get(name) != kind
        ]
        if event["classVersion"] == promise["classVersion"]:
            more = set(event["required"]) - set(promise["required"])
            faults += [f"{topic}.{name} is not in older events" for name in sorted(more)]
    return faults


def test_every_promised_topic_and_field_is_there() -> None:
    assert broken(json.loads((HERE / "topics.json").read_bytes()), present()) == []


def test_every_topic_is_promised_and_has_a_sample_of_each_class_version() -> None:
    assert json.loads((HERE / "topics.json").read_bytes()).keys() == event_classes().keys()
    assert {topic_of(sample) for sample in SAMPLES} == {
        (topic, version)
        for topic, event_class in event_classes().items()
        for version in range(1, event_class.class_version + 1)
    }


@pytest.mark.parametrize("sample", SAMPLES)
def test_whoever_reads_stored_states_without_events_gets_them_upcast_as_well(sample: str) -> None:
    topic, _ = topic_of(sample)
    shown = upcast(topic, json.loads(SAMPLES[sample]))
    assert shown["data"] == json.loads(encode(read(topic, SAMPLES[sample])))["data"]


def test_what_nobody_knows_is_shown_as_it_is() -> None:
    assert upcast("Table.Painted", {"data": {"colour": "RED"}}) == {"data": {"colour": "RED"}}


def test_a_field_may_be_added() -> None:
    grown = deepcopy(present())
    grown["TableDef.Renamed"]["fields"]["formerName"] = {"type": "string"}
    assert broken(present(), grown) == []


def test_a_topic_may_be_added() -> None:
    assert broken(present(), present() | {"TableDef.Archived": present()["TableDef.Deleted"]}) == []


def test_an_added_field_that_older_events_lack_needs_a_new_class_version() -> None:
    grown = deepcopy(present())
    grown["TableDef.Renamed"]["required"].append("formerName")
    assert broken(present(), grown) == ["TableDef.Renamed.formerName is not in older events"]
    grown["TableDef.Renamed"]["classVersion"] = 2
    assert broken(present(), grown) == []


def test_a_field_cannot_be_removed() -> None:
    shrunk = deepcopy(present())
    del shrunk["TableDef.Created"]["fields"]["icon"]
    assert broken(present(), shrunk) == ["TableDef.Created.icon is gone or has another type"]


def test_a_field_cannot_be_renamed() -> None:
    renamed = deepcopy(present())
    fields = renamed["TableDef.Renamed"]["fields"]
    fields["title"] = fields.pop("name")
    assert broken(present(), renamed) == ["TableDef.Renamed.name is gone or has another type"]


def test_a_field_cannot_change_its_type() -> None:
    changed = deepcopy(present())
    changed["TableDef.Renamed"]["fields"]["name"] = {"type": "integer"}
    assert broken(present(), changed) == ["TableDef.Renamed.name is gone or has another type"]


def test_a_topic_cannot_be_removed_or_go_back_to_an_older_class_version() -> None:
    changed = deepcopy(present())
    del changed["TableDef.Purged"]
    changed["TableDef.Created"]["classVersion"] = 1
    assert broken(present(), changed) == [
        "TableDef.Created has a lower class version",
        "TableDef.Purged is gone",
    ]


# Samples


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_was_stored_by_any_release_can_be_read(sample: str) -> None:
    topic, _ = topic_of(sample)
    event = read(topic, SAMPLES[sample], 3)
    assert (type(event), event.originator_id, event.originator_version) == (
        event_classes()[topic], TABLE, 3,
    )  # fmt: skip
    assert event.timestamp == NOON
    assert event.metadata.company_id == COMPANY


@pytest.mark.parametrize(
    "sample",
    [s for s in SAMPLES if topic_of(s)[1] == event_classes()[topic_of(s)[0]].class_version],
)
def test_events_are_still_stored_as_the_same_bytes(sample: str) -> None:
    assert encode(read(topic_of(sample)[0], SAMPLES[sample])) == SAMPLES[sample]


def test_a_creation_of_class_version_1_is_read_with_its_colour_in_lower_case() -> None:
    old, now = SAMPLES["TableDef.Created.v1"], SAMPLES["TableDef.Created.v2"]
    assert json.loads(old)["data"]["color"] == "#1A73E8"
    assert "classVersion" not in json.loads(old)
    event = read("TableDef.Created", old)
    assert isinstance(event, TableDef.Created)
    assert event.color == "#1a73e8"
    assert event == read("TableDef.Created", now)


@pytest.mark.parametrize("color", ["null", '""', None])
def test_a_creation_of_class_version_1_may_have_no_colour(color: str | None) -> None:
    replaced = f'"color":{color},'.encode() if color else b""
    state = SAMPLES["TableDef.Created.v1"].replace(b'"color":"#1A73E8",', replaced)
    event = read("TableDef.Created", state)
    assert isinstance(event, TableDef.Created)
    assert not event.color


def test_a_process_that_has_only_just_started_can_read_every_event() -> None:
    program = """
import sys, domain
from pathlib import Path
from uuid import UUID
from domain.recorded import decode
for path in map(Path, sys.argv[1:]):
    event = decode(path.stem.rpartition(".v")[0], UUID(int=3), 1, path.read_bytes())
    print(path.stem, type(event).__qualname__)
assert not {"application", "projections", "api"} & set(sys.modules)
"""
    paths = [str(HERE / "samples" / f"{sample}.json") for sample in SAMPLES]
    seen = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *paths],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.stderr == ""
    assert seen.stdout.split() == [word for s in SAMPLES for word in (s, topic_of(s)[0])]


# The stored shape


def test_the_stored_state_is_plain_json_with_business_apart_from_metadata() -> None:
    table = Given().when(change(settings={"enableForm": True})).table
    stored = json.loads(encode(table.collect()[0]))
    assert stored.keys() == {"occurredAt", "data", "metadata"}
    assert stored["occurredAt"] == "2026-11-22T13:00:00Z"
    assert stored["data"] == {"changes": {"enableForm": True}}
    assert stored["metadata"].keys() == {
        "eventId", "companyId", "actorId", "actorKind", "command", "requestId", "correlationId",
        "causationId", "traceparent", "reason",
    }  # fmt: skip


def test_text_is_stored_as_utf_8_and_not_escaped() -> None:
    assert "Größe 📏".encode() in encode(new(name="Größe 📏").collect()[0])


def test_the_class_version_is_stored_when_it_is_not_the_first() -> None:
    assert json.loads(encode(new().collect()[0]))["classVersion"] == 2


@settings(settings.get_profile("domain"))
@given(
    st.text(max_size=20),
    st.timedeltas(timedelta(days=-9_000), timedelta(days=9_000)),
    st.integers(-12, 14),
)
def test_an_event_is_read_back_as_it_was(reason: str, later: timedelta, offset: int) -> None:
    at = (NOON + later).astimezone(timezone(timedelta(hours=offset)))
    table = Given().table
    table.delete(context(occurred_at=at, reason=reason))
    (event,) = table.collect()
    again = read("TableDef.Deleted", encode(event), event.originator_version)
    assert again == event


@pytest.mark.parametrize("kind", ["user", "key", "system"])
def test_who_did_it_is_read_back_with_what_they_are(kind: Any) -> None:
    table = Given().table
    table.delete(context(actor_kind=kind))
    (event,) = table.collect()
    assert read("TableDef.Deleted", encode(event), 2).metadata == event.metadata


def test_what_happened_cannot_be_changed() -> None:
    event = read("TableDef.Renamed", SAMPLES["TableDef.Renamed.v1"])
    for part, name in ((event, "name"), (event.metadata, "command")):
        with pytest.raises(ValidationError):
            setattr(part, name, "Purchasing")


def test_fields_of_a_newer_release_are_ignored() -> None:
    stored = json.loads(SAMPLES["TableDef.Renamed.v1"])
    stored["data"]["formerName"] = stored["metadata"]["region"] = stored["weather"] = "fine"
    event = read("TableDef.Renamed", json.dumps(stored).encode())
    assert event == read("TableDef.Renamed", SAMPLES["TableDef.Renamed.v1"])


def test_business_fields_cannot_pass_for_the_envelope() -> None:
    stored = json.loads(SAMPLES["TableDef.Renamed.v1"])
    stored["data"] |= {"originatorId": str(UUID(int=9)), "originator_id": str(UUID(int=9))}
    stored["data"] |= {"originatorVersion": 9, "originator_version": 9, "timestamp": "1999-01-01"}
    event = read("TableDef.Renamed", json.dumps(stored).encode())
    assert event == read("TableDef.Renamed", SAMPLES["TableDef.Renamed.v1"])


# What cannot be read


def altered(**parts: Any) -> bytes:
    """A stored renaming with some of its parts replaced; None takes a part away."""
    stored = json.loads(SAMPLES["TableDef.Renamed.v1"]) | parts
    return json.dumps({key: value for key, value in stored.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "topic", ["TableDef.Archived", "TableDef", "", "domain.table_def:TableDef"]
)
def test_an_unknown_topic_is_unreadable(topic: str) -> None:
    with pytest.raises(UnreadableEvent):
        read(topic, SAMPLES["TableDef.Renamed.v1"])


def test_a_newer_class_version_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent, match="class version 2 is newer"):
        read("TableDef.Renamed", altered(classVersion=2))


BROKEN = {
    "nothing": b"",
    "half an object": SAMPLES["TableDef.Renamed.v1"][:-1],
    "two objects": SAMPLES["TableDef.Renamed.v1"] * 2,
    "not UTF-8": SAMPLES["TableDef.Renamed.v1"].replace(b"Sales", b"\xff\xfe"),
    "null": b"null",
    "an array": b"[]",
    "a number": b"1",
    "a text": b'"data"',
    "too deep": b'{"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "no data": altered(data=None),
    "data of another kind": altered(data=["name"]),
    "no time": altered(occurredAt=None),
    "no moment": altered(occurredAt="noon"),
    "no metadata": altered(metadata=None),
    "metadata without ids": altered(metadata={}),
    "no business field": altered(data={}),
    "business field of another type": altered(data={"name": 5}),
    "no number as class version": altered(classVersion="1"),
    "half a class version": altered(classVersion=1.5),
    "class version zero": altered(classVersion=0),
}


@pytest.mark.parametrize("state", BROKEN.values(), ids=BROKEN)
def test_broken_bytes_are_unreadable_and_say_which_event_it_is(state: bytes) -> None:
    with pytest.raises(UnreadableEvent, match=f"TableDef.Renamed of {TABLE} v1: "):
        read("TableDef.Renamed", state)


def test_a_version_1_creation_with_a_broken_colour_is_unreadable() -> None:
    stored = json.loads(SAMPLES["TableDef.Created.v1"])
    stored["data"]["color"] = 7
    with pytest.raises(UnreadableEvent):
        read("TableDef.Created", json.dumps(stored).encode())


@settings(settings.get_profile("domain"))
@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_any_bytes_at_all_are_either_an_event_or_unreadable(state: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read("TableDef.Renamed", state)
