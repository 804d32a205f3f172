"""The few ways in which the domain says no. Each docstring is the message a person reads."""

from datetime import datetime
from uuid import UUID


class DomainError(Exception):
    """The request cannot be carried out."""

    def __str__(self) -> str:
        return super().__str__() or (self.__doc__ or "").strip()


class InvalidValue(DomainError):
    """A value breaks a rule that depends on what is there already."""

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.code = code


class NotFound(DomainError):
    """There is nothing here under this id."""


class TableDeleted(DomainError):
    """This table is deleted. Restore it first."""

    def __init__(self, id: UUID, deleted_at: datetime) -> None:
        super().__init__()
        self.id = id
        self.deleted_at = deleted_at


class DeletedThen(DomainError):
    """This table was deleted then. Choose a version at which it was not."""


class TablePurged(DomainError):
    """This table was purged: it is gone for ever, only its history remains."""


class NotDeleted(DomainError):
    """This table is not deleted. Delete it before you purge it."""


class WorkspaceDeleted(DomainError):
    """This workspace is deleted. Restore it first."""

    def __init__(self, workspace_id: UUID, deleted_at: datetime) -> None:
        super().__init__()
        self.workspace_id = workspace_id
        self.deleted_at = deleted_at


class CompanyRemoved(DomainError):
    """This company was removed."""


class UnreadableEvent(DomainError):
    """A stored event cannot be read by this release."""
