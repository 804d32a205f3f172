"""What somebody might do to an archive: each edit tells which event is the first bad one then.

An edit changes the lines. What is made to fit them again, decides whoever calls it.
"""

import base64
import copy
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from tests.contracts.exporting import Parts

Edit = Callable[[Parts, Random], int]
_UUIDS = ("aggregateId", "eventId", "companyId")


def _any(parts: Parts, random: Random, last: int = 0) -> int:
    return random.randrange(len(parts.lines) - last)


def _said(parts: Parts, random: Random) -> int:
    """An event that is not erased, and says something."""
    kept = [n for n, line in enumerate(parts.lines) if line.get("state")]
    return random.choice(kept)


def change_state(parts: Parts, random: Random) -> int:
    """One character of what was said is another."""
    at = _said(parts, random)
    text = parts.lines[at]["state"]
    place = random.randrange(len(text))
    other = "x" if text[place] != "x" else "y"
    parts.lines[at]["state"] = text[:place] + other + text[place + 1 :]
    return at


def change_salt(parts: Parts, random: Random) -> int:
    at = _said(parts, random)
    parts.lines[at]["salt"] = random.randbytes(16).hex()
    return at


def move_a_byte_to_the_salt(parts: Parts, random: Random) -> int:
    """The commitment stays what it is."""
    at = _said(parts, random)
    line = parts.lines[at]
    state = line["state"].encode()
    line["salt"] += state[:1].hex()
    line["state"] = state[1:].decode(errors="replace")
    return at


def change_id(parts: Parts, random: Random) -> int:
    at, name = _any(parts, random), random.choice(_UUIDS)
    text = parts.lines[at][name]
    parts.lines[at][name] = ("0" if text[0] != "0" else "1") + text[1:]
    return at


def change_topic(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    parts.lines[at]["topic"] += "X"
    return at


def change_version(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    parts.lines[at]["version"] += random.choice([-1, 1, 1000])
    return at


def change_position(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    parts.lines[at]["position"] = str(int(parts.lines[at]["position"]) + random.choice([-1, 1, 99]))
    return at


def change_moment(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    text = parts.lines[at]["recordedAt"]
    parts.lines[at]["recordedAt"] = text[:-2] + ("0" if text[-2] != "0" else "1") + "Z"
    return at


def delete(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    del parts.lines[at]
    return at


def delete_and_renumber(parts: Parts, random: Random) -> int:
    at = delete(parts, random)
    parts.renumber()
    return at


def insert(parts: Parts, random: Random) -> int:
    """An event that never was, which looks as if it belonged there."""
    at = _any(parts, random)
    line = copy.deepcopy(parts.lines[at])
    line["eventId"] = f"{random.getrandbits(32):08x}{line['eventId'][8:]}"
    parts.lines.insert(at, line)
    return at


def insert_and_renumber(parts: Parts, random: Random) -> int:
    at = insert(parts, random)
    parts.renumber()
    return at


def swap(parts: Parts, random: Random) -> int:
    first = _any(parts, random, last=1)
    second = random.randrange(first + 1, len(parts.lines))
    lines = parts.lines
    lines[first], lines[second] = lines[second], lines[first]
    return first


def swap_what_was_said(parts: Parts, random: Random) -> int:
    """Each in the other's place, with its number and position."""
    first = swap(parts, random)
    second = parts.lines[first]["index"] - parts.manifest["range"]["fromIndex"]
    for name in ("index", "position", "recordedAt"):
        one, other = parts.lines[first], parts.lines[second]
        one[name], other[name] = other[name], one[name]
    return first


def duplicate(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    parts.lines.insert(at + 1, copy.deepcopy(parts.lines[at]))
    return at + 1


def cut_the_tail(parts: Parts, random: Random) -> int:
    at = _any(parts, random)
    del parts.lines[at:]
    return at


def add_a_tail(parts: Parts, random: Random) -> int:
    """Events that nobody signed yet."""
    line = copy.deepcopy(parts.lines[-1])
    line["eventId"] = f"{random.getrandbits(32):08x}{line['eventId'][8:]}"
    parts.lines.append(line)
    parts.renumber()
    return len(parts.lines) - 1


def fake_erasure(parts: Parts, random: Random) -> int:
    """Its leaf stays what it is."""
    gone = {line["aggregateId"] for line in parts.lines if line["topic"] == "TableDef.Erased"}
    kept = [
        n for n, line in enumerate(parts.lines)
        if "erased" not in line and line["aggregateId"] not in gone
    ]  # fmt: skip
    at = random.choice(kept)
    parts.lines[at] = erased(parts.lines[at])
    return at


def erase_the_erasure(parts: Parts, random: Random) -> int:
    """What tells of it says nothing any more."""
    told = [n for n, line in enumerate(parts.lines) if line["topic"] == "TableDef.Erased"]
    at = random.choice(told)
    parts.lines[at] = erased(parts.lines[at])
    return at


def undo_an_erasure(parts: Parts, random: Random) -> int:
    """Something is said again that was never said."""
    at = random.choice([n for n, line in enumerate(parts.lines) if "erased" in line])
    line = parts.lines[at]
    del line["erased"], line["commitment"]
    parts.lines[at] = line | {"salt": random.randbytes(16).hex(), "state": "{}"}
    return at


def change_a_commitment(parts: Parts, random: Random) -> int:
    at = random.choice([n for n, line in enumerate(parts.lines) if "erased" in line])
    parts.lines[at]["commitment"] = random.randbytes(32).hex()
    return at


def erased(line: dict[str, Any]) -> dict[str, Any]:
    """A line as it would be, were it erased."""
    said = line.get("state")
    state = base64.b64decode(line["stateBase64"]) if said is None else said.encode()
    header = {n: v for n, v in line.items() if n not in ("salt", "state", "stateBase64")}
    commitment = sha256(bytes.fromhex(line["salt"]) + state).hexdigest()
    return header | {"erased": True, "commitment": commitment}


# These leave every leaf as it is: what is wrong with them, no signature tells.
UNSEEN_BY_THE_TREE: list[Edit] = [fake_erasure, erase_the_erasure, move_a_byte_to_the_salt]
SEEN: list[Edit] = [
    change_state, change_salt, change_id, change_topic, change_version, change_position,
    change_moment, delete, delete_and_renumber, insert, insert_and_renumber, swap,
    swap_what_was_said, duplicate, cut_the_tail, add_a_tail, undo_an_erasure, change_a_commitment,
]  # fmt: skip
EDITS: list[Edit] = [*SEEN, *UNSEEN_BY_THE_TREE]
