"""Keep a copy of a company's table definitions in SQLite: a client to copy and to change.

    FOLLOWER_KEY=dtk_… python follower.py http://127.0.0.1:8000 copy.sqlite

The key needs the scope `events:read`. Runs for ever; with `--once` until the copy has all there is.
Needs Python 3.11 and nothing else. Others may read the copy at any time.

The service gives each event at least once, in one order for all, each with a position. Here a page
of events and the position after it are committed in one transaction, and what is not above the
committed position is skipped. So each event takes effect exactly once, at whatever moment this
process, the service or the network fails; started again, it goes on where it was.

To keep something else, change `SCHEMA`, and `MEANS`, which says what each event does to it.

Exit status: 0 = the copy has all there is, 1 = it cannot work like this, 2 = wrong arguments,
3 = the service went back to an earlier state, 4 = the key is not accepted.
"""

import argparse
import json
import os
import sqlite3
import sys
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PAGE = 1_000  # events that are asked for, and committed, at once
WAIT = 30  # seconds that the service may wait for an event before it answers that there is none
LONGEST_DELAY = 15.0  # seconds between two attempts, unless the service says how many

SCHEMA = """
CREATE TABLE IF NOT EXISTS tables (
    id TEXT PRIMARY KEY, workspaceId TEXT, name TEXT NOT NULL, slug TEXT NOT NULL,
    description TEXT, icon TEXT, color TEXT, settings TEXT NOT NULL,  -- JSON with sorted names
    createdBy TEXT NOT NULL, createdAt TEXT NOT NULL,
    updatedBy TEXT NOT NULL, updatedAt TEXT NOT NULL, deletedAt TEXT, version INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    eventId TEXT,             -- of the event at the position, where it is known
    events INTEGER NOT NULL,  -- that took effect
    unknown INTEGER NOT NULL  -- those of them that happened to a table and are not in MEANS
);
INSERT OR IGNORE INTO checkpoint VALUES (1, 0, NULL, 0, 0);
"""
MOVE = """
UPDATE checkpoint SET position = ?, eventId = ?, events = events + ?, unknown = unknown + ?
"""
CREATE = """
INSERT INTO tables VALUES (
    :tableId, :workspaceId, :name, :slug, :description, :icon, :color, :settings,
    :actorId, :occurredAt, :actorId, :occurredAt, NULL, :version)
"""
CHANGE = """
UPDATE tables SET {} updatedBy = :actorId, updatedAt = :occurredAt, version = :version
 WHERE id = :tableId
"""
REMOVE = "DELETE FROM tables WHERE id = :tableId"
TYPE = "dynamic-tables.table-def."
MEANS = {
    f"{TYPE}created.v1": CREATE,
    f"{TYPE}renamed.v1": CHANGE.format("name = :name,"),
    f"{TYPE}slug-changed.v1": CHANGE.format("slug = :slug,"),
    f"{TYPE}description-changed.v1": CHANGE.format("description = :description,"),
    f"{TYPE}appearance-changed.v1": CHANGE.format("icon = :icon, color = :color,"),
    f"{TYPE}settings-changed.v1": CHANGE.format("settings = merge_patch(settings, :changes),"),
    f"{TYPE}moved-to-workspace.v1": CHANGE.format("workspaceId = :workspaceId,"),
    f"{TYPE}deleted.v1": CHANGE.format("deletedAt = :occurredAt,"),
    f"{TYPE}restored.v1": CHANGE.format("deletedAt = NULL,"),
    f"{TYPE}purged.v1": REMOVE,
    f"{TYPE}erased.v1": REMOVE,
}
ADVICE = {  # by the status of an answer: the exit status, and what to do
    401: (4, "Set FOLLOWER_KEY to a key of the company."),
    403: (4, "Set FOLLOWER_KEY to a key of an integrator."),
    409: (3, "Delete the copy and start again: it is made anew."),
}

Json = dict[str, Any]
canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def open_copy(path: str) -> sqlite3.Connection:
    """The copy as it was left, or a new one."""
    copy = sqlite3.connect(path, timeout=30, isolation_level=None)
    # Nobody waits for a reader. A loss of power may undo the last transactions, each as a whole.
    copy.execute("PRAGMA journal_mode = WAL")
    copy.execute("PRAGMA synchronous = NORMAL")
    copy.create_function("merge_patch", 2, merge_patch_texts, deterministic=True)
    copy.executescript(SCHEMA)
    return copy


def checkpoint(copy: sqlite3.Connection) -> tuple[int, str | None]:
    """The position that the copy is at, and the id of the event there, where it is known."""
    position, id = copy.execute("SELECT position, eventId FROM checkpoint").fetchone()
    return position, id


def take(copy: sqlite3.Connection, page: list[Json], position: int) -> int:
    """Let a page take effect, all of it or nothing; returns how many of its events were new."""
    with copy:
        copy.execute("BEGIN IMMEDIATE")  # until the commit, nobody else can move the checkpoint
        before, _ = checkpoint(copy)
        if position <= before:
            return 0
        events = [event for event in page if int(event["position"]) > before]
        unknown = [event["type"] for event in events if not apply(copy, event)]
        # The position may be one that was only looked at, with an event that we were not given.
        id = next((e["id"] for e in events if int(e["position"]) == position), None)
        copy.execute(MOVE, (position, id, len(events), len(unknown)))
    for kind in sorted(set(unknown)):
        tell(f"This program does not know {kind}: of such events it keeps the version alone.")
    return len(events)


def apply(copy: sqlite3.Connection, event: Json) -> bool:
    """Let one event take effect; returns whether it is known what it means."""
    if "tableId" not in event:  # about a workspace, or the company
        return True
    if event["data"] is None:  # erased, as only a purged table is
        copy.execute(REMOVE, event)
        return True
    values = dict.fromkeys(("workspaceId", "description", "icon", "color")) | event["data"] | event
    values["actorId"] = event["actor"]["id"]
    values["settings"] = canonical(event["data"].get("settings", {}))
    values["changes"] = canonical(event["data"].get("changes", {}))
    # What a later release has recorded is one more version of the table all the same.
    copy.execute(MEANS.get(event["type"], CHANGE.format("")), values)
    return event["type"] in MEANS


def merge_patch_texts(target: str, patch: str) -> str:
    """`merge_patch` for SQLite."""
    return canonical(merge_patch(json.loads(target), json.loads(patch)))


def merge_patch(target: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396, section 2): null removes, objects merge."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def next_page(
    service: str, key: str, copy: sqlite3.Connection, wait: int
) -> tuple[list[Json], int, int]:
    """The events after the checkpoint, the position after them, and that of the newest event.

    However long the service cannot be reached, or does not want to answer.
    """
    position, id = checkpoint(copy)
    query: Json = {"after": position, "limit": PAGE, "wait": wait}
    if id:  # lets the service notice that it has another event there
        query["afterId"] = id
    target = f"{service}/api/events?{urlencode(query)}"
    request = Request(target, headers={"Authorization": f"Bearer {key}"})
    delay = 0.5
    while True:
        try:
            with urlopen(request, timeout=WAIT + 30) as answer:
                positions = int(answer.headers["Feed-Position"]), int(answer.headers["Feed-Head"])
                return json.load(answer), *positions
        except HTTPError as error:
            reason, seconds = why_not(error)
        except (OSError, HTTPException, ValueError, TypeError) as error:  # or what no service says
            reason, seconds = f"{getattr(error, 'reason', error)}.", 0
        tell(f"{reason} Trying again in {seconds or delay:g} s.")
        time.sleep(seconds or delay)
        delay = min(2 * delay, LONGEST_DELAY)


def why_not(error: HTTPError) -> tuple[str, int]:
    """Why an answer has no events, and after how many seconds it may have some, 0 = unknown.

    Raises:
        SystemExit: it never will.
    """
    try:
        reason = f"{error.code} {json.load(error)['detail']}"
    except (ValueError, LookupError, TypeError, OSError, HTTPException):
        reason = f"{error.code} {error.reason}."
    if error.code == 429 or error.code >= 500:
        seconds = error.headers.get("Retry-After", "")
        return reason, int(seconds) if seconds.isdecimal() else 0
    status, advice = ADVICE.get(error.code, (1, "Is this the address of the service?"))
    print(reason, advice, file=sys.stderr)
    sys.exit(status)


def follow(service: str, key: str, copy: sqlite3.Connection, once: bool) -> None:
    """Take page after page, for ever or until there is no more."""
    untold, told_at = 0, time.monotonic()
    while True:
        wait = 0 if once else 1 if untold else WAIT  # what is untold is told within a second
        page, position, head = next_page(service, key, copy, wait)
        untold += take(copy, page, position)
        done = once and position >= head
        if untold and (done or time.monotonic() >= told_at + 1):
            tell(f"{untold} new events, up to position {position} of {head}.")
            untold, told_at = 0, time.monotonic()
        if done:
            return


def tell(line: str) -> None:
    """One line for the person who runs this, at once."""
    print(line, flush=True)


def main() -> None:
    """Read the arguments, and follow."""
    parser = argparse.ArgumentParser(description="Keep a copy of table definitions in SQLite.")
    parser.add_argument("service", help="its address, such as http://127.0.0.1:8000")
    parser.add_argument("copy", help="the file of the copy, such as copy.sqlite")
    parser.add_argument("--once", action="store_true", help="end when the copy has all there is")
    given = parser.parse_args()
    key = os.environ.get("FOLLOWER_KEY", "").strip()
    if not (key and key.isascii()):
        parser.error("FOLLOWER_KEY has to be a key with the scope events:read")
    if not given.service.startswith(("http://", "https://")):
        parser.error("the address of the service begins with http:// or https://")
    try:
        follow(given.service.rstrip("/"), key, open_copy(given.copy), given.once)
    except sqlite3.Error as error:
        sys.exit(f"{given.copy}: {error}.")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
