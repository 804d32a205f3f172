"""The work: items that are table definitions, and requests for them as Lua of wrk."""

import math
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.load import Load, LoadFailed, load

OPERATIONS = ("create", "get", "list", "patch", "delete")
PAGE = 50  # items of a list
SAMPLE = 500  # items that are read and changed
PATIENCE = 300  # seconds until enough items to delete are there
REST = 0.5  # seconds after each run, for whoever still has something to do
NEW = (  # about 500 bytes; <n> is another number in each
    '{"name":"Orders <n>","slug":"orders-<n>","description":"What our customers ordered since the '
    "first day, with all that belongs to it: who took the order and when, what was promised, what "
    "left the house and what came back, which invoice was sent and whether it was paid. Sales "
    "writes here, the warehouse reads, and finance closes each month; whoever needs more fields "
    'adds them, and whoever needs fewer hides them.","icon":"box",'
    '"color":"#1a73e8","settings":{"enableForm":true,"defaultView":"kanban"}}'
)
CHANGED = '"description":"changed <n>"'
SCRIPT = """
local method, path, body = [[{method}]], [[{path}]], [[{body}]]
local run = string.format("%x-%s", os.time(), tostring({{}}):sub(-6))
local ids, number = {{}}, 0
for id in io.lines("{ids}") do ids[#ids + 1] = id end
request = function()
  number = number + 1
  if {once} and number > #ids then wrk.thread:stop() end
  local values = {{n = run .. "-" .. number, id = ids[(number - 1) % #ids + 1]}}
  local function fill(text) return (text:gsub("<(%a+)>", values)) end
  return wrk.format(method, fill(path), nil, body ~= "" and fill(body) or nil)
end
"""
KEEP_IDS = """
local kept = io.open("{kept}", "w")
response = function(status, headers, body)
  if status < 300 then kept:write(body:match('"[Ii]d":%s*"?([%w-]+)'), "\\n") end
end
"""


@dataclass(frozen=True)
class Shape:
    """What a request looks like; `<id>` is an item's, `<n>` a number that never comes again."""

    method: str
    path: str
    body: str = ""


@dataclass
class Contender:
    """Somebody who is running and does the work."""

    name: str
    version: str
    flushes: bool  # each commit, to the disk
    address: str
    credential: str  # a whole header
    shapes: Mapping[str, Shape]
    started_in: float  # seconds
    idle: float  # MiB it had in memory then, with all its processes
    memory: Callable[[], float]  # the same now
    spare: list[str] = field(default_factory=list)  # ids of items that nobody will miss
    sample: list[str] = field(default_factory=list)
    deleted: int = 50  # a second, at most, as far as is known

    def fill(self) -> None:
        """Make the items that are read and changed; see that each request does what it should.

        Raises:
            LoadFailed: it refused, or did something else.
        """
        one, *self.sample = self._take(SAMPLE + 1)
        done = {operation: self._answer(operation, one) for operation in ("list", "get", "patch")}
        changed = self._answer("get", one)
        self._answer("delete", one)
        held = {
            "list": done["list"].count('"slug"') == PAGE,
            "get": "What our customers ordered" in done["get"],
            "patch": "changed by hand" in changed,
            "delete": not self._answer("get", one),
        }
        if wrong := [operation for operation, holds in held.items() if not holds]:
            raise LoadFailed(f"not done as it should be: {', '.join(wrong)}")

    def _answer(self, operation: str, id: str) -> str:
        """What one request is answered; nothing if with an error."""
        path, body = (
            text.replace("<id>", id).replace("<n>", "by hand")
            for text in (self.shapes[operation].path, self.shapes[operation].body)
        )
        request = urllib.request.Request(
            self.address + path, body.encode() or None, method=self.shapes[operation].method
        )
        request.add_header("Content-Type", "application/json")
        request.add_header(*self.credential.split(": ", 1))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def measure(self, operation: str, connections: int, seconds: int) -> float:
        """Answers per second.

        Raises:
            LoadFailed: it answered otherwise than with success.
        """
        os.sync()  # what others left to be written is not to be waited for
        run = self._delete if operation == "delete" else self._run
        rate = run(operation, connections, seconds).rate
        time.sleep(REST)
        return rate

    def _run(self, operation: str, connections: int, seconds: int) -> Load:
        return self._load(operation, self.sample, connections, seconds)

    def _delete(self, operation: str, connections: int, seconds: int) -> Load:
        """Each item once; when there were too few, the run counts for nothing."""
        for _ in range(6):
            ids = self._take(math.ceil(1.5 * self.deleted * seconds) + 2 * connections)
            run = self._load(operation, ids, connections, seconds, once=True)
            used = run.answers + connections + 1
            self.spare += ids[used:]
            self.deleted = max(self.deleted, math.ceil(run.rate))
            if used < len(ids):
                return run
            self.deleted *= 4
        raise LoadFailed("there were never enough items to delete")

    def _take(self, count: int) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        seconds = 1
        while len(self.spare) < count:
            if time.monotonic() > deadline:
                raise LoadFailed(f"{count} items could not be made within {PATIENCE} s")
            with tempfile.NamedTemporaryFile("r", suffix=".ids") as kept:
                run = self._load("create", [], 16, seconds, kept=kept.name)
                self.spare += kept.read().split()
            missing = count - len(self.spare)
            seconds = min(30, math.ceil(missing / (run.rate or 1)) + 1)
        taken, self.spare = self.spare[:count], self.spare[count:]
        return taken

    def _load(
        self, operation: str, ids: list[str], connections: int, seconds: int, *,
        once: bool = False, kept: str = "",
    ) -> Load:  # fmt: skip
        shape = self.shapes[operation]
        with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
            file.write("\n".join(ids))
            file.flush()
            script = (SCRIPT + KEEP_IDS if kept else SCRIPT).format(
                method=shape.method, path=shape.path, body=shape.body, ids=file.name,
                once=str(once).lower(), kept=kept,
            )  # fmt: skip
            return load(self.address, self.credential, script, connections, seconds)
