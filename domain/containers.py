"""What belongs where: tables to a workspace or to the whole company, workspaces to a company."""

from uuid import UUID, uuid5


def workspace_aggregate(company_id: UUID, workspace_id: UUID) -> UUID:
    """The aggregate of a workspace: a UUIDv5 (RFC 9562) of its company and its id.

    So two companies may use one id, as another system gave it, and neither learns of the other.
    """
    return uuid5(company_id, str(workspace_id))


def container_of(company_id: UUID, workspace_id: UUID | None) -> UUID:
    """The aggregate that a table of this workspace, or of none, belongs to."""
    return company_id if workspace_id is None else workspace_aggregate(company_id, workspace_id)
