"""The official JSON Schema of AsyncAPI documents, which only an npm package brings."""

import json
from typing import Any

from tests.npm import member


def official_schema() -> Any:
    """The schema of AsyncAPI 3.0 documents.

    The test that asks is skipped where it cannot be had.
    """
    return json.loads(member("@asyncapi/specs", "6.11.1", "schemas/3.0.0.json"))
