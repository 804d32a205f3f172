"""What attackers and accidents send to the pages: nothing breaks, and nothing is lost."""

import pytest

from tests.api.conftest import Service
from tests.api.test_pages import send
from tests.api.test_sessions import signed_in

pytestmark = pytest.mark.anyio


async def test_a_new_table_without_any_name_is_refused_beside_its_field(service: Service) -> None:
    browser = await signed_in(service)
    answer = await send(browser, "/tables/new", name="", description="kept")
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert ">kept</textarea>" in answer.text


@pytest.mark.parametrize("address", ["/webhooks/new", "/consumers/_new"])
async def test_a_slug_that_nothing_can_have_is_no_table(service: Service, address: str) -> None:
    browser = await signed_in(service)
    fields = {"url": "https://example.com/", "name": "copy", "partitions": 1, "leaseSeconds": 60}
    answer = await send(browser, address, **fields, maxAttempts=3, table="a\0b")
    assert answer.status_code == 422
    assert 'id="table-error"' in answer.text
