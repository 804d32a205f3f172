"""What is done with companies: by the platform, an identity provider, and their own people."""

from application.base import Application, Outcome, Request
from domain.company import Company
from domain.company_details import CompanyChanges, CompanyDetails


class Companies(Application):
    """The use cases of companies: each is about the company of the request's context."""

    async def register(self, request: Request, details: CompanyDetails) -> Outcome:
        """Register a company; one that is there already stays as it is."""
        return await self.execute(
            request.context.company_id,
            request,
            lambda company: None,
            lambda: Company.register(details.name, request.context),
        )

    async def change(self, request: Request, changes: CompanyChanges) -> Outcome:
        """Change name and settings in one atomic step."""
        return await self.execute(
            request.context.company_id, request, lambda c: c.change(changes, request.context)
        )

    async def remove(self, request: Request) -> Outcome:
        """Put it aside; all that it has follows, and nobody of it gets in any more."""
        return await self.execute(
            request.context.company_id, request, lambda c: c.remove(request.context)
        )

    async def restore(self, request: Request) -> Outcome:
        """Bring it back, with all that was deleted with it."""
        return await self.execute(
            request.context.company_id, request, lambda c: c.restore(request.context)
        )
