"""What the processes say while they run: one format, one line a message, and nothing twice."""

import logging
import math
import time

FORMAT = "%(asctime)s %(levelname)s {process}: %(message)s"
MOMENT = "%Y-%m-%d %H:%M:%S"
SILENCE = 30.0  # seconds for which the same message is not said again
REMEMBERED = 1_000  # messages


def configure(level: str, process: str) -> None:
    """Log to stderr from this level on, under the name of this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(FORMAT.format(process=process), MOMENT))
    handler.addFilter(Unrepeated())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        # How a web server comes and goes is no news to whoever started it.
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class OneLine(logging.Formatter):
    """Puts a database's message of many lines on one; a traceback stays readable."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        text = super().format(record)
        return text if "Traceback (most recent" in text else " ".join(text.split())


class Unrepeated(logging.Filter):
    """Lets a message pass once in a while: what is tried every second fails every second."""

    def __init__(self, silence: float = SILENCE) -> None:
        super().__init__()
        self._silence = silence
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this was not said lately."""
        message, now = record.getMessage(), time.monotonic()
        if now - self._said.get(message, -math.inf) < self._silence:
            return False
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[message] = now
        return True
