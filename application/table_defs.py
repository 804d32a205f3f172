"""What people do with table definitions."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from application.base import Application, Outcome, Request, existing, idempotency_turn
from application.earlier import Earlier
from application.errors import AppendBusy, Refused, SlugTaken
from application.event_store.store import EventStore
from application.known import Known
from domain import slugs
from domain.errors import DeletedThen, InvalidValue, TablePurged
from domain.table_def import TableDef
from domain.table_details import FIELDS, Changes, Copy, Details, Facet

ROUNDS = 100


class _MovedOn(Exception):
    """More happened to a table since it was looked at."""


@dataclass
class SlugHeld(Refused):
    """The slug is in use: by whom, whether that table is deleted, and what is free instead."""

    slug: str
    holder_id: UUID
    holder_deleted_at: datetime | None
    suggestion: str


class TableDefs(Application):
    """The use cases of table definitions."""

    def __init__(self, store: EventStore, known: Known | None = None) -> None:
        super().__init__(store, known)
        self._claiming: set[tuple[UUID, str]] = set()

    async def create(self, request: Request, details: Details) -> Outcome:
        """Create a table, with the slug asked for or one derived from its name.

        Raises:
            SlugHeld: the slug that was asked for is in use.
            KeyReused, InvalidValue, Fault.
        """
        async with self.turns.of(idempotency_turn(request)):
            return await self._create(request, details)

    async def change(self, id: UUID, request: Request, changes: Changes) -> Outcome:
        """Change any mix of fields in one atomic step.

        Raises:
            SlugHeld, and whatever `Application.execute` raises.
        """
        return await self._change(id, request, lambda table: table.change(changes, request.context))

    async def delete(self, id: UUID, request: Request) -> Outcome:
        """Put a table aside."""
        return await self.execute(id, request, lambda table: table.delete(request.context))

    async def restore(self, id: UUID, request: Request) -> Outcome:
        """Bring a deleted table back."""
        return await self.execute(id, request, lambda table: table.restore(request.context))

    async def purge(self, id: UUID, request: Request, erase: bool = False) -> Outcome:
        """End a deleted table for ever; `erase`: with all that was recorded of it."""

        def decide(table: TableDef) -> None:
            (table.erase if erase else table.purge)(request.context)

        return await self.execute(id, request, decide)

    async def duplicate(self, id: UUID, request: Request, own: Copy) -> Outcome:
        """Create a copy of a table, with a name, slug and workspace of its own if wanted."""
        async with self.turns.of(idempotency_turn(request)):
            company_id = request.context.company_id
            original = existing(await self.store.load(company_id, id), company_id)
            if receipt := await self.recall(request):
                return await self.replay(request, receipt)
            return await self._create(request, original.copy(own))

    async def revert(
        self,
        id: UUID,
        request: Request,
        earlier: Earlier,
        facets: Collection[Facet] = tuple(FIELDS),
    ) -> Outcome:
        """Put facets of a table back to what they were, by new events.

        Raises:
            InvalidValue: there is nothing to go back to then.
            SlugHeld, and whatever `Application.execute` raises.
        """
        for _ in range(ROUNDS):
            with suppress(_MovedOn):
                return await self._revert(id, request, earlier, facets)
        raise AppendBusy

    async def _revert(
        self, id: UUID, request: Request, earlier: Earlier, facets: Collection[Facet]
    ) -> Outcome:
        company_id, context = request.context.company_id, request.context
        recorded = await self.store.load(company_id, id)
        if (present := existing(recorded, company_id)).erased_at:
            raise TablePurged
        then = earlier.state(recorded, context.occurred_at)

        def decide(table: TableDef) -> None:
            if earlier.as_of and table.version != present.version:
                raise _MovedOn  # it may have been recorded before that moment
            table.revert(then, facets, context)

        try:
            return await self._change(id, request, decide)
        except DeletedThen as error:
            raise InvalidValue(earlier.pointer, "deleted", str(error)) from error

    async def suggest_slug(self, company_id: UUID, name: str) -> str:
        """The slug that a new table of this name would get."""
        return await self._free(company_id, slugs.derive(name))

    async def _change(
        self, id: UUID, request: Request, decide: Callable[[TableDef], None]
    ) -> Outcome:
        try:
            return await self.execute(id, request, decide)
        except SlugTaken as taken:
            raise await self._held(request, taken) from taken

    async def _create(self, request: Request, details: Details) -> Outcome:
        id = request.context.new_id()
        if details.slug:
            return await self._with_slug(id, request, details, details.slug)
        return await self._with_derived_slug(id, request, details)

    async def _with_slug(self, id: UUID, request: Request, details: Details, slug: str) -> Outcome:
        table = TableDef.create(id, details, slug, request.context)
        try:
            with self._claimed(request, slug):
                return await self.append(table, request)
        except SlugTaken as taken:
            raise await self._held(request, taken) from taken

    async def _with_derived_slug(self, id: UUID, request: Request, details: Details) -> Outcome:
        company_id, base = request.context.company_id, slugs.derive(details.name)
        slug = next(s for s in _choices(base) if (company_id, s) not in self._claiming)
        with ExitStack() as claims:
            claims.enter_context(self._claimed(request, slug))
            for _ in range(ROUNDS):
                table = TableDef.create(id, details, slug, request.context)
                with suppress(SlugTaken):
                    return await self.append(table, request)
                # One at a time: all who look at once would find the same slug free.
                async with self.turns.of(("slug", company_id, base)):
                    slug = await self._free(company_id, base)
                    claims.enter_context(self._claimed(request, slug))
        raise AppendBusy

    @contextmanager
    def _claimed(self, request: Request, slug: str) -> Iterator[None]:
        claim = (request.context.company_id, slug)
        mine = not request.dry_run and claim not in self._claiming
        if mine:
            self._claiming.add(claim)
        try:
            yield
        finally:
            if mine:
                self._claiming.discard(claim)

    async def _free(self, company_id: UUID, base: str) -> str:
        """The first choice that is neither reserved nor being claimed in this process."""
        choices, size = _choices(base), 16
        while True:
            candidates = [next(choices) for _ in range(size)]
            candidates = [c for c in candidates if (company_id, c) not in self._claiming]
            if slug := await self.store.free_slug(company_id, candidates):
                return slug
            size *= 4

    async def _held(self, request: Request, taken: SlugTaken) -> SlugHeld:
        company_id = request.context.company_id
        holder = existing(await self.store.load(company_id, taken.holder_id), company_id)
        suggestion = await self._free(company_id, taken.slug)
        return SlugHeld(taken.slug, taken.holder_id, holder.deleted_at, suggestion)


def _choices(base: str) -> Iterator[str]:
    return (slugs.numbered(base, number) for number in count(1))
