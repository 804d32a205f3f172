"""What exports of the log have from this release: its name, and the schemas of events."""

import json
from functools import cache

from api.event_schemas import TOPICS
from api.event_types import event_types
from application.audit_log.export import Edition

VERSION = "0.1.0"


@cache
def edition() -> Edition:
    """Of this release."""
    schemas = {
        TOPICS[name]: json.dumps(each.schema, ensure_ascii=False, indent=2).encode()
        for name, each in event_types().items()
    }
    return Edition(f"dynamic-tables {VERSION}", schemas)
