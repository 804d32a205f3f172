"""One small change to one file, of which some test should not approve."""

from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """A file in which the bytes from `start` to `end` are replaced by `text`."""

    path: Path
    start: int
    end: int
    text: bytes

    def apply(self, source: bytes) -> bytes:
        """The whole file as it is then."""
        return source[: self.start] + self.text + source[self.end :]

    def name(self) -> str:
        """What tells it from all others, of other versions of the file too."""
        version = sha256(self.path.read_bytes()).hexdigest()[:16]
        return f"{self.path} {version} {self.start}-{self.end} {self.text.decode()}"

    def line(self, source: bytes) -> int:
        """Where it begins, counted from 1."""
        return source.count(b"\n", 0, self.start) + 1

    def diff(self, source: bytes) -> tuple[str, str]:
        """The lines that it changes, before and after, each on one line."""
        versions = [source.decode().splitlines(), self.apply(source).decode().splitlines()]
        changed = list(unified_diff(*versions, lineterm="", n=0))[3:]
        before, after = (
            " ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+"
        )
        return before, after
