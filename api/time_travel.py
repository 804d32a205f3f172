"""Tables as they were: one at a version or a moment, the list at a moment or a position."""

from uuid import UUID

from starlette.responses import Response

from api.endpoint import Call
from api.reading import after, catch_up, page_answer, unless_known
from api.schemas import ReadHeaders
from api.table_schemas import ListQuery, PastQuery
from projections.table_def_queries import Filter


async def table_as_of(call: Call, id: UUID, query: PastQuery, headers: ReadHeaders) -> Response:
    """A table as it was, deleted or not: what was asked for is its past, not what it is."""
    history, company_id = call.services.history, call.caller.company_id
    await catch_up(call, history.progress, headers)
    if query.as_of is not None:
        position = await history.position_at(query.as_of, "/asOf")
        row = await history.at_position(company_id, id, position)
    else:
        row = await history.at_version(company_id, id, query.version or 1)
    answer = {"ETag": f'"{row.version}"', "Event-Position": str(row.position)}
    return unless_known(headers, row.json.encode(), answer)


async def list_as_of(
    call: Call, query: ListQuery, headers: ReadHeaders, wanted: Filter
) -> Response:
    """The list as it was, page by page: every page shows the same position."""
    history = call.services.history
    await catch_up(call, history.progress, headers)
    if query.as_of is not None:
        position = await history.position_at(query.as_of, "/asOf")
    else:
        position = await history.position_at(query.as_of_position or 0, "/asOfPosition")
    then = (wanted, position)
    page = await history.list(wanted, position, after(call, query.cursor, then), query.limit)
    total = {"totalCount": await history.count(wanted, position)} if query.count else {}
    return page_answer(call, headers, page, then, **total)
