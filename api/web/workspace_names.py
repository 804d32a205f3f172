"""The workspaces that the pages of tables offer and name."""

import json
from collections.abc import Mapping
from typing import Any

from api.web.page import PageCall, caught_up
from projections.tenancy_queries import WORKSPACES

MOST = 200


async def all_workspaces(call: PageCall) -> Mapping[str, Mapping[str, Any]]:
    """The workspaces of the company by their ids, deleted ones too; the first 200 by name."""
    tenancy, company_id = call.services.tenancy, call.caller.company_id
    await caught_up(call, tenancy.progress)
    page = await tenancy.page(WORKSPACES, company_id, "all", None, MOST)
    return {each["id"]: each for each in json.loads(f"[{page.items}]")}
