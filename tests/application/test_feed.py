"""Events as others see them."""

from datetime import timedelta, timezone
from uuid import UUID

import pytest

from application.feed import event_data, feed_item, public_type
from domain.base import Event
from domain.company import Company
from domain.recorded import Recorded, event_classes
from domain.table_def import TableDef
from domain.table_details import Copy
from domain.workspace import Workspace
from tests.domain.vocabulary import (
    ACTOR,
    COMPANY,
    NOON,
    TABLE,
    WORKSPACE,
    Command,
    Given,
    change,
    context,
)

PUBLIC_TYPES = {
    "Company.Registered": "dynamic-tables.company.registered.v1",
    "Company.Renamed": "dynamic-tables.company.renamed.v1",
    "Company.SettingsChanged": "dynamic-tables.company.settings-changed.v1",
    "Company.Removed": "dynamic-tables.company.removed.v1",
    "Company.Restored": "dynamic-tables.company.restored.v1",
    "Workspace.Created": "dynamic-tables.workspace.created.v1",
    "Workspace.Renamed": "dynamic-tables.workspace.renamed.v1",
    "Workspace.Deleted": "dynamic-tables.workspace.deleted.v1",
    "Workspace.Restored": "dynamic-tables.workspace.restored.v1",
    "TableDef.Created": "dynamic-tables.table-def.created.v1",
    "TableDef.Renamed": "dynamic-tables.table-def.renamed.v1",
    "TableDef.SlugChanged": "dynamic-tables.table-def.slug-changed.v1",
    "TableDef.DescriptionChanged": "dynamic-tables.table-def.description-changed.v1",
    "TableDef.AppearanceChanged": "dynamic-tables.table-def.appearance-changed.v1",
    "TableDef.SettingsChanged": "dynamic-tables.table-def.settings-changed.v1",
    "TableDef.MovedToWorkspace": "dynamic-tables.table-def.moved-to-workspace.v1",
    "TableDef.Deleted": "dynamic-tables.table-def.deleted.v1",
    "TableDef.Restored": "dynamic-tables.table-def.restored.v1",
    "TableDef.Purged": "dynamic-tables.table-def.purged.v1",
    "TableDef.Erased": "dynamic-tables.table-def.erased.v1",
}


def test_public_types_are_for_ever() -> None:
    assert {topic: public_type(topic) for topic in event_classes()} == PUBLIC_TYPES


def recorded(event: Event, position: int = 48_231) -> Recorded:
    return Recorded(event, COMPANY, position, NOON)


def event_of(command: Command, **changed: object) -> Event:
    table = Given().table
    command(table, context(**changed))
    return table.collect()[0]


def test_an_item_says_what_happened_to_which_table_when_by_whom_and_why() -> None:
    cause, at = UUID(int=88), NOON + timedelta(microseconds=123_456)
    event = event_of(change(name="Sales"), occurred_at=at, causation_id=cause, reason="Größer")
    assert feed_item(recorded(event)) == {
        "position": "48231",
        "id": str(event.metadata.event_id),
        "type": "dynamic-tables.table-def.renamed.v1",
        "tableId": str(TABLE),
        "companyId": str(COMPANY),
        "version": 2,
        "occurredAt": "2026-11-22T12:00:00.123456Z",
        "actor": {"id": str(ACTOR), "kind": "user"},
        "reason": "Größer",
        "correlationId": "c-1",
        "causationId": str(cause),
        "data": {"name": "Sales"},
    }


def test_an_item_about_a_workspace_names_it_by_the_id_that_its_company_knows() -> None:
    workspace = Workspace.create(WORKSPACE, "Sales", context())
    workspace.delete(context())
    for item in (feed_item(recorded(event)) for event in workspace.collect()):
        assert item["workspaceId"] == item["data"]["workspaceId"] == str(WORKSPACE)
        assert "tableId" not in item


def test_an_item_about_a_company_names_it_alone() -> None:
    (event,) = Company.register("Acme", context()).collect()
    item = feed_item(recorded(event))
    assert (item["companyId"], item["data"]) == (str(COMPANY), {"name": "Acme"})
    assert item.keys().isdisjoint({"tableId", "workspaceId"})


def test_an_item_without_reason_and_cause_says_null() -> None:
    item = feed_item(recorded(event_of(change(name="Sales"))))
    assert (item["reason"], item["causationId"]) == (None, None)


@pytest.mark.parametrize("zone", [0, 9, -3.5])
def test_times_are_in_utc_with_microseconds_even_if_they_are_zero(zone: float) -> None:
    at = NOON.astimezone(timezone(timedelta(hours=zone)))
    item = feed_item(recorded(event_of(change(name="Sales"), occurred_at=at)))
    assert item["occurredAt"] == "2026-11-22T12:00:00.000000Z"


def test_a_position_beyond_what_a_double_holds_is_exact() -> None:
    item = feed_item(recorded(event_of(change(name="Sales")), position=2**63 - 1))
    assert item["position"] == "9223372036854775807"


def test_data_are_the_business_fields_in_camel_case() -> None:
    (event,) = TableDef.create(
        TABLE, Given().table.copy(Copy(name="Mine", workspace_id=WORKSPACE)), "mine", context()
    ).collect()
    assert event_data(event) == {
        "companyId": str(COMPANY),
        "workspaceId": str(WORKSPACE),
        "name": "Mine",
        "slug": "mine",
        "description": None,
        "icon": None,
        "color": None,
        "settings": {},
    }


def test_data_of_settings_are_a_merge_patch_with_its_nulls() -> None:
    kept = Given((TableDef.SettingsChanged, {"changes": {"enableForm": True}})).table
    change(settings={"enableForm": None, "a": {"b": [None, 1.5]}})(kept, context())
    assert event_data(kept.collect()[0]) == {
        "changes": {"enableForm": None, "a": {"b": [None, 1.5]}}
    }


def test_an_event_without_business_fields_has_empty_data() -> None:
    deleted = event_of(lambda table, context: table.delete(context))
    assert feed_item(recorded(deleted))["data"] == {}
