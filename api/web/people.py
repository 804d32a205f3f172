"""What those who did something are called on a page."""

from collections.abc import Collection, Mapping
from uuid import UUID

from api.endpoint import Call

SERVICE = "Dynamic Tables"


async def names_of(call: Call, ids: Collection[UUID | str]) -> Mapping[str, str]:
    """The names of people and keys by their ids, as far as they are known.

    What the service does by itself, or by its command line, it does as the company.
    """
    company_id = call.caller.company_id
    wanted = {UUID(str(id)) for id in ids}
    known = await call.services.directory.names(company_id, wanted)
    found = {company_id: SERVICE} | dict(known)
    return {str(id): name for id, name in found.items() if name}
