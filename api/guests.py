"""People whom an identity provider vouches for: from a token to a caller of a company."""

from datetime import UTC, datetime
from uuid import UUID

from api.caller import Caller, unauthenticated
from api.directory import Directory
from api.errors import ApiError
from api.ids import new_id
from api.progress import Progress
from api.scopes import granted
from api.tokens import Claims, InvalidToken, TokenVerifier
from application.base import Request
from application.companies import Companies
from application.event_store.session import Session, companies, scoped
from domain.base import Context
from domain.company_details import CompanyDetails

IS_LIVE = scoped("SELECT live FROM event_store.containers WHERE id = %(company_id)s")


class ProviderGuests:
    """Lets in whoever has a valid token for a company that is known, or may register it."""

    def __init__(
        self,
        verifier: TokenVerifier,
        session: Session,
        companies: Companies,
        directory: Directory,
        progress: Progress,
        register: bool,
    ) -> None:
        self._progress = progress
        self._verifier = verifier
        self._session = session
        self._companies = companies
        self._directory = directory
        self._register = register

    async def admit(self, token: str) -> tuple[Caller, float]:
        """The caller of a token, and the Unix time at which it expires.

        Raises:
            ApiError: `unauthenticated`, or `forbidden` when the company is not known here.
            KeysUnavailable, StoreUnavailable.
        """
        try:
            claims = await self._verifier.verify(token)
        except InvalidToken as error:
            raise unauthenticated(str(error)) from None
        await self._check_company(claims)
        if claims.user_name:
            await self._directory.note(claims.company_id, claims.user_id, claims.user_name)
        scopes = granted(claims.scopes)
        return Caller(claims.company_id, claims.user_id, "user", scopes), claims.expires_at

    async def _check_company(self, claims: Claims) -> None:
        live = await self._is_live(claims.company_id)
        if live is None and self._register:
            name = claims.company_name or f"Company {claims.company_id}"
            details = CompanyDetails(name=name)
            done = await self._companies.register(_on_first_use(claims), details)
            self._progress.wrote(claims.company_id, done.receipt.position)
        elif live is None:
            raise ApiError("forbidden", "The company of this token is not registered here.")
        elif not live:
            raise unauthenticated("The company of this token was removed.")

    async def _is_live(self, company_id: UUID) -> bool | None:
        params = {"company_id": company_id, "companies": companies(company_id)}
        rows = await self._session.fetch(IS_LIVE, params)
        return rows[0][0] if rows else None


def _on_first_use(claims: Claims) -> Request:
    id = new_id()
    return Request(
        Context(
            company_id=claims.company_id,
            actor_id=claims.user_id,
            actor_kind="user",
            occurred_at=datetime.now(UTC),
            new_id=new_id,
            request_id=id.hex,
            correlation_id=id.hex,
            command="register",
        )
    )
