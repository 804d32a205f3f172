"""What was promised to whoever follows events, and whether it is kept.

A schema is read in two ways: new events by whoever knows the old schema, and old events, which are
kept for ever, by whoever knows the new one. So what there is stays as it is; only fields that may
be absent can be added. `python -m tests.api.promises` writes down what was added.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.asyncapi import document
from api.event_types import event_types

HERE = Path(__file__).parent
EVENTS, ASYNCAPI = HERE / "event_schemas.json", HERE / "asyncapi.json"
ANNOTATIONS = {"title", "description", "examples"}
NAMED = {"properties", "$defs"}
CHOICES = {"anyOf", "allOf", "oneOf"}
Schema = Mapping[str, Any]


def broken(promised: Any, present: Any, at: str = "") -> list[str]:
    """What the present schema breaks of the promised one, each with where that is."""
    if not (isinstance(promised, dict) and isinstance(present, dict)):
        return [] if promised == present else [f"{at or '/'} was {promised}, is {present}"]
    keywords = sorted((promised.keys() | present.keys()) - ANNOTATIONS)
    return [
        fault
        for keyword in keywords
        for fault in _broken_by(keyword, promised.get(keyword), present.get(keyword), at)
    ]


def _broken_by(keyword: str, promised: Any, present: Any, at: str) -> list[str]:
    at = f"{at}/{keyword}"
    if keyword in NAMED:
        return _broken_fields(promised or {}, present or {}, at)
    if keyword == "required":
        return _broken_required(set(promised or ()), set(present or ()), at)
    if keyword in CHOICES and len(promised or ()) == len(present or ()):
        pairs = enumerate(zip(promised, present, strict=True))
        return [fault for i, (old, new) in pairs for fault in broken(old, new, f"{at}/{i}")]
    return broken(promised, present, at)


def _broken_fields(promised: Schema, present: Schema, at: str) -> list[str]:
    faults = [f"{at}/{name} is gone" for name in promised if name not in present]
    for name in promised.keys() & present.keys():
        faults += broken(promised[name], present[name], f"{at}/{name}")
    return faults


def _broken_required(promised: set[str], present: set[str], at: str) -> list[str]:
    needed = [f"{at}/{name} is not in older events" for name in sorted(present - promised)]
    return needed + [f"{at}/{name} may be absent now" for name in sorted(promised - present)]


def lost(promised: Any, present: Any, at: str = "") -> list[str]:
    """What is in the promised JSON value and no more, or other, in the present one."""
    if not (isinstance(promised, dict) and isinstance(present, dict)):
        return [] if promised == present else [f"{at} was {promised}, is {present}"]
    faults = [f"{at}/{key} is gone" for key in promised if key not in present]
    for key in promised.keys() & present.keys():
        faults += lost(promised[key], present[key], f"{at}/{key}")
    return faults


def of_events() -> dict[str, Any]:
    """The schema of each type of event as it is now."""
    return {each.name: _unannotated(each.schema) for each in event_types().values()}


def of_asyncapi() -> dict[str, Any]:
    """What the AsyncAPI document says now that others build on; the schemas of data are apart."""
    whole = document("0")
    parts = whole["components"]
    shapes = {name: each for name, each in parts["schemas"].items() if name not in event_types()}
    shapes |= {f"{name} headers": each["headers"] for name, each in parts["messageTraits"].items()}
    return {
        "channels": {
            name: _channel(each, parts["messages"]) for name, each in whole["channels"].items()
        },
        "operations": {name: _operation(each) for name, each in whole["operations"].items()},
        "shapes": {name: _unannotated(shape) for name, shape in shapes.items()},
    }


def _channel(channel: Any, known: Any) -> dict[str, Any]:
    messages = {n: known[n] if "$ref" in each else each for n, each in channel["messages"].items()}
    return {
        "address": channel["address"],
        "messages": {name: _message(each) for name, each in messages.items()},
    }


def _message(message: Any) -> str:
    parts = (message["payload"], *message.get("traits", ()))
    return " ".join((message["contentType"], *(part["$ref"] for part in parts)))


def _operation(operation: Any) -> dict[str, Any]:
    binding = operation.get("bindings", {}).get("http", {})
    return {
        "action": operation["action"],
        "channel": operation["channel"]["$ref"],
        "method": binding.get("method"),
        "query": {name: {} for name in binding.get("query", {}).get("properties", {})},
    }


def _unannotated(schema: Schema) -> Any:
    return {k: v for k, v in json.loads(json.dumps(schema)).items() if k not in ANNOTATIONS}


def written(path: Path) -> dict[str, Any]:
    """What was promised."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def unkept() -> list[str]:
    """All that was promised and is not kept."""
    promised, present = written(ASYNCAPI), of_asyncapi()
    shapes, now = promised.pop("shapes"), present.pop("shapes")
    return [
        *_broken_fields(written(EVENTS), of_events(), ""),
        *_broken_fields(shapes, now, "/shapes"),
        *lost(promised, present),
    ]


def main() -> None:
    """Write down what was added; what is broken is not."""
    if faults := unkept():
        raise SystemExit("\n".join(faults))
    for path, present in ((EVENTS, of_events()), (ASYNCAPI, of_asyncapi())):
        path.write_text(json.dumps(present, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
