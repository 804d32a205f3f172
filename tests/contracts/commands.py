"""Commands as the use cases would send them to an event store, on real aggregates."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from application.event_store.store import Append, IdempotencyKey, Receipt
from domain.base import Context
from domain.company import Company
from domain.table_def import TableDef
from domain.table_details import Changes, Details
from domain.workspace import Workspace

Container = TypeVar("Container", Company, Workspace)


def context(company_id: UUID) -> Context:
    """Somebody of this company does something now."""
    return Context(
        company_id=company_id,
        actor_id=uuid7(),
        actor_kind="user",
        occurred_at=datetime.now(UTC),
        new_id=uuid7,
        request_id="r-1",
        correlation_id="c-1",
    )


def new_table(
    company_id: UUID,
    slug: str | None = None,
    events: int = 1,
    id: UUID | None = None,
    workspace_id: UUID | None = None,
) -> TableDef:
    """A table that was just created, and renamed until it has as many new events as asked for."""
    id = id or uuid7()
    details = Details(name="T 1", workspace_id=workspace_id)
    table = TableDef.create(id, details, slug or f"t-{id}", context(company_id))
    rename(table, events - 1)
    return table


def rename(table: TableDef, times: int = 1) -> TableDef:
    """The same table, renamed that many times more."""
    for number in range(table.version + 1, table.version + 1 + times):
        table.change(Changes(name=f"T {number}"), context(table.company_id))
    return table


def command(table: TableDef, **also: Any) -> Append:
    """The command that stores what a table recorded; claims the slug of a new one."""
    events = table.collect()
    version = table.version - len(events)
    claim = {"claim": table.slug} if version == 0 else {}
    return Append(table.company_id, table.id, version, events, **claim | also)


def creation(company_id: UUID, slug: str | None = None, events: int = 1, **also: Any) -> Append:
    """The command that creates a table."""
    return command(new_table(company_id, slug, events), **also)


def erasure(table: TableDef) -> Append:
    """The command that deletes, purges and erases a table."""
    slug = table.slug
    table.delete(context(table.company_id))
    table.erase(context(table.company_id))
    return command(table, release=slug, leaves=True)


def new_company(company_id: UUID) -> Company:
    """A company that was just registered."""
    return Company.register("Ours", context(company_id))


def new_workspace(company_id: UUID) -> Workspace:
    """A workspace that was just created."""
    return Workspace.create(uuid7(), "Sales", context(company_id))


def deleted(container: Container) -> Container:
    """The same workspace or company, put aside."""
    put_aside = container.remove if isinstance(container, Company) else container.delete
    put_aside(context(_company_of(container)))
    return container


def restored(container: Container) -> Container:
    """The same workspace or company, brought back."""
    container.restore(context(_company_of(container)))
    return container


def standing(container: Company | Workspace, **also: Any) -> Append:
    """The command that stores what a container recorded, and whether it is alive from then on."""
    events, now = container.collect(), container.standing
    version = container.version - len(events)
    says = {"opens": now.live, "joins": now.container_id if now.live else None}
    return Append(_company_of(container), container.id, version, events, **says | also)


def _company_of(container: Company | Workspace) -> UUID:
    return container.id if isinstance(container, Company) else container.company_id


def key(name: str, request: str = "one") -> IdempotencyKey:
    """A client's key for one request."""
    return IdempotencyKey(name, request)


def replayed(receipt: Receipt) -> Receipt:
    """The answer of whoever asks again."""
    return replace(receipt, replayed=True)


def documents() -> tuple[str, str]:
    """What the database's append function gets for a command with two events."""
    table = str(uuid4())
    command = {
        "command": 0,
        "company_id": str(uuid4()),
        "originator_id": table,
        "expected_version": 0,
        "position": 0,
        "claim": f"t-{table}",
        "dry_run": False,
    }
    events = [
        {
            "command": 0,
            "version": version,
            "topic": "T",
            "state": "{}",
            "salt": "00",
            "event_id": str(uuid4()),
        }
        for version in (1, 2)
    ]
    return json.dumps([command]), json.dumps(events)
