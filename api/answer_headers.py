"""The headers of answers, for the OpenAPI document."""

import base64
from typing import Any

from api.audit_views import NOTE
from api.views import EXAMPLE_ID


def header(description: str, example: str, pattern: str = ".+", **extra: Any) -> dict[str, Any]:
    """A header as the document describes it."""
    schema = {"type": "string", "pattern": pattern}
    return {"description": description, "schema": schema, "example": example, **extra}


ETAG = {"ETag": header("The version of what is shown.", '"7"', '^"[0-9a-f]+"$', required=True)}
POSITION = {
    "Event-Position": header(
        "Writes: the position of their last event. Reads: the position they show.",
        "48231", "^[0-9]+$", required=True,
    )
}  # fmt: skip
REPLAYED = {"Idempotency-Replayed": header("The same answer again.", "true", "^true$")}
ETAG_OF_FEED = {"ETag": header("Of what is shown.", '"7f0c"', '^"[0-9a-f]+"$')}
PUBLISHED = ETAG_OF_FEED | {
    "Cache-Control": header(
        "For how many seconds it need not be asked for.", "public, max-age=3600"
    )
}
NEXT = {"Link": header("The next page.", '</api/tables?cursor=KD4tX>; rel="next"')}
LOCATION = {
    "Location": header("Where it is.", f"/api/tables/{EXAMPLE_ID}", "^/api/", required=True)
}
COMMON = {
    "X-Request-Id": header(
        "The id of the request, in the log and with the events.", "5f0c9b1e", required=True
    ),
    "traceparent": header("The caller's own.", f"00-{'4b' * 16}-{'00f1' * 4}-01"),
}
RANGES = {
    "Accept-Ranges": header("Parts can be asked for.", "bytes", "^bytes$", required=True),
    "Content-Disposition": header("What to call it.", 'attachment; filename="audit.zip"'),
}
CONTENT_RANGE = {
    "Content-Range": header("Which part, and of how many bytes.", "bytes 0-1023/48231")
}
FEED = {
    "Feed-Position": header(
        "The last position that was looked at: follow from it, also when nothing matched.",
        "48231", "^[0-9]+$", required=True,
    ),
    "Feed-Head": header("The last position of the company.", "48231", "^[0-9]+$", required=True),
    "Audit-Checkpoint": header(
        "The last signed head of the company's audit log, a note in base64; keep it.",
        base64.b64encode(NOTE.encode()).decode(), "^[A-Za-z0-9+/]+=*$",
    ),
}  # fmt: skip
