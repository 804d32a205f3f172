"""Orders of pages: writes that record no event, as those of the API, with what a form brings."""

from pydantic_core import to_json

from api.orders import Order, order
from api.schemas import KeyHeaders, WriteQuery
from api.web import writes
from api.web.page import PageCall

OVERLAPS = (0, 3_600, 86_400, 7 * 86_400, 30 * 86_400)  # seconds for which what is replaced goes on


def order_of(call: PageCall) -> Order:
    """What a form orders; its field `once` makes it safe to send twice.

    Raises:
        ApiError: `validation`.
    """
    call.content = to_json(call.given.json())
    once = call.given.get("once")
    headers = writes.read(KeyHeaders, {"Idempotency-Key": once} if once else {})
    return order(call, WriteQuery.model_construct(dry_run=False), headers)
