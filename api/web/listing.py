"""Lists for admins, page by page: what is in them, and who did it."""

import json
from typing import Any

from api.reading import after
from api.tenancy_schemas import PageQuery
from api.web.page import PageCall
from api.web.people import names_of
from api.web.queries import Lenient
from api.web.templating import with_query
from projections.keyset import Listing

PEOPLE = ("createdBy", "updatedBy", "revokedBy")


class ListingQuery(PageQuery, Lenient):
    """The query of such a page: that of the list. What is empty was not asked for."""


async def listed(call: PageCall, listing: Listing, query: ListingQuery) -> dict[str, Any]:
    """What the page of a list of the company's shows.

    Raises:
        ApiError: `invalid-cursor`.
    """
    services, company_id, path = call.services, call.caller.company_id, call.url.path
    bound = (path, company_id, query.state)
    start = after(call, query.cursor, bound)
    rows = await services.tenancy.page(listing, company_id, query.state, start, query.limit)
    items = json.loads(f"[{rows.items}]")
    cursor = rows.next and services.cursors.sign(rows.next, call.caller.actor_id, bound)
    ids = {each[name] for each in items for name in PEOPLE if each.get(name)}
    return {
        "items": items,
        "state": query.state,
        "names": await names_of(call, ids),
        "first": query.cursor and with_query(path, call.query_params, cursor=None),
        "next": cursor and with_query(path, call.query_params, cursor=cursor),
    }
