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
