"""What a route answers with when it succeeds, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from api.answer_headers import (
    COMMON,
    CONTENT_RANGE,
    ETAG,
    ETAG_OF_FEED,
    FEED,
    LOCATION,
    NEXT,
    POSITION,
    PUBLISHED,
    RANGES,
    REPLAYED,
)  # fmt: skip
from api.failures import EVERY, READ, WRITE, Answers, failures
from api.views import Rehearsal, Table


def reads(model: type[BaseModel], *problems: str, position: bool = True) -> Answers:
    """The answers of a read; `position`: whether it is from a read model."""
    headers = ETAG | (NEXT if "next_cursor" in model.model_fields else {})
    headers |= POSITION if position else {}
    known = {"description": "What the caller has is still right.", "headers": headers | COMMON}
    problems = (*(READ if position else EVERY), *problems)
    return {200: _success("Here it is.", model, headers), 304: known, **failures(*problems)}


def writes(status: int, *problems: str, model: Any = Table, rehearsal: Any = Rehearsal) -> Answers:
    """The answers of a write; with `dryRun` it is always 200."""
    headers = ETAG | POSITION | REPLAYED | (LOCATION if status == 201 else {})
    answers: Answers = {200: _success("With `dryRun`: what would happen.", rehearsal, {})}
    if status == 200:
        optional = {name: header | {"required": False} for name, header in headers.items()}
        answers[200] = _success("Done, or with `dryRun` rehearsed.", model | rehearsal, optional)
    else:
        answers[status] = _success("Done.", model if status == 201 else None, headers)
    return answers | failures(*WRITE, *problems)


def puts(model: Any, rehearsal: Any, *problems: str) -> Answers:
    """The answers of a write that creates what is not there yet."""
    changed, created = writes(200, model=model, rehearsal=rehearsal), writes(201, model=model)
    return changed | {201: created[201]} | failures(*WRITE, *problems)


def keeps(
    status: int,
    model: Any,
    rehearsal: Any,
    *problems: str,
    puts: bool = False,
    located: bool = False,
) -> Answers:
    """The answers of a write that records no event; `puts`: it may also be there already.

    `located`: it says where it is, also with another status than 201.
    """
    answers: Answers = {200: _success("With `dryRun`: what would happen.", rehearsal, {})}
    if status == 200 or puts:
        answers[200] = _success("Done, or with `dryRun` rehearsed.", model | rehearsal, REPLAYED)
    if status != 200:
        headers = REPLAYED | (LOCATION if located or status == 201 else {})
        answers[status] = _success("Done.", model, headers)
    return answers | failures(*WRITE, *problems)


def downloads(*problems: str) -> Answers:
    """The answers of a download of bytes, which may be asked for in parts."""
    content = {
        each: {"schema": {"type": "string"}, "example": "The bytes."}
        for each in ("application/zip", "text/csv")
    }
    headers = ETAG_OF_FEED | RANGES
    part = headers | CONTENT_RANGE
    return {
        200: _success("All of it.", None, headers) | {"content": content},
        206: _success("The part that was asked for.", None, part) | {"content": content},
        304: {"description": "What the caller has is still right.", "headers": headers | COMMON},
        **failures(*EVERY, *problems),
    }


def done() -> Answers:
    """The only success of a route that has nothing to show."""
    return {204: _success("Done.", None, {})}


def events_read(model: type[BaseModel], *media_types: str) -> Answers:
    """The answers of the feed, in each of its forms."""
    headers = FEED | ETAG_OF_FEED | NEXT
    page = _success("The next events; none = caught up.", model, headers)
    page["content"] = {
        each: {"schema": {"type": "string"}, "example": "One of each, in that form."}
        for each in media_types
    }
    known = {"description": "What the caller has is still right.", "headers": headers | COMMON}
    return {200: page, 304: known, **failures(*EVERY, "feed-rewound")}


def streamed() -> Answers:
    """The answers of a stream of events."""
    example = (
        'id: 48231\nevent: dynamic-tables.table-def.deleted.v1\ndata: {"position": "48231"}\n\n'
    )
    problems = failures(*EVERY, "invalid-position", "feed-rewound")
    return text("text/event-stream", example) | problems


def moved() -> Answers:
    """The answer to a former name."""
    return {308: _success("The table has another slug now.", None, LOCATION)}


def found(model: Any) -> Answers:
    """The only success of a route that shows no read model."""
    return {200: _success("Here it is.", model, {})}


def published(answers: Answers) -> Answers:
    """The same answers of what changes with releases alone: the caller may keep it."""
    headers = {name: header | {"required": True} for name, header in PUBLISHED.items()} | COMMON
    known = {"description": "What the caller has is still right.", "headers": headers}
    return {**answers, 200: answers[200] | {"headers": headers}, 304: known}


def text(media_type: str, example: Any, kind: str = "string") -> Answers:
    """The only success of a route whose answer is for people or other tools."""
    content = {media_type: {"schema": {"type": kind}, "example": example}}
    return {200: _success("Here it is.", None, {}) | {"content": content}}


def _success(description: str, model: Any, headers: dict[str, Any]) -> dict[str, Any]:
    shown = {} if model is None else {"model": model}
    return {"description": description, "headers": headers | COMMON, **shown}
