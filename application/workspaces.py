"""What people do with workspaces. Each is known by the id that its company gave it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from application.base import Application, Outcome, Request
from domain.company_details import WorkspaceChanges, WorkspaceDetails
from domain.containers import workspace_aggregate
from domain.workspace import Workspace


class Workspaces(Application):
    """The use cases of workspaces."""

    async def create(self, request: Request, details: WorkspaceDetails) -> Outcome:
        """Create a workspace under a new id."""
        return await self.put(request.context.new_id(), request, details)

    async def put(self, workspace_id: UUID, request: Request, details: WorkspaceDetails) -> Outcome:
        """Have a workspace of this id and name: create it, or rename it if it is there.

        Raises:
            WorkspaceDeleted: it was there, and has to be restored first.
            KeyReused, ContainerClosed, Fault.
        """
        name, context = details.name, request.context
        return await self.execute(
            workspace_aggregate(context.company_id, workspace_id),
            request,
            lambda workspace: workspace.rename(name, context),
            lambda: Workspace.create(workspace_id, name, context),
        )

    async def change(
        self, workspace_id: UUID, request: Request, changes: WorkspaceChanges
    ) -> Outcome:
        """Change what is given."""
        return await self._existing(
            workspace_id, request, lambda workspace: workspace.change(changes, request.context)
        )

    async def delete(self, workspace_id: UUID, request: Request) -> Outcome:
        """Put it aside; its tables follow."""
        return await self._existing(workspace_id, request, lambda w: w.delete(request.context))

    async def restore(self, workspace_id: UUID, request: Request) -> Outcome:
        """Bring it back; the tables that were deleted with it follow."""
        return await self._existing(workspace_id, request, lambda w: w.restore(request.context))

    async def _existing(
        self, workspace_id: UUID, request: Request, decide: Callable[[Any], None]
    ) -> Outcome:
        id = workspace_aggregate(request.context.company_id, workspace_id)
        return await self.execute(id, request, decide)
