"""The languages of the pages: texts of one catalogue each, times and numbers as people write them.

The catalogues are Fluent files (https://projectfluent.org); what one lacks is said in English.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from fluent.runtime import FluentBundle, FluentResource
from markupsafe import Markup, escape

DEFAULT = "en"
LANGUAGES = {"en": "English", "de": "Deutsch"}
MOST_PLAIN = 2_000  # texts without arguments that are kept


@dataclass(frozen=True)
class Language:
    """A language, and the time zone that its reader lives in."""

    code: str
    zone: str = "UTC"

    def text(self, id: str, /, **arguments: Any) -> Markup:
        """A text of the catalogue, ready for a page: its arguments are escaped.

        Raises:
            KeyError: no catalogue has it.
        """
        if not arguments:
            return _plain(self.code, id)
        return _format(self.code, id, {name: _safe(value) for name, value in arguments.items()})

    def has(self, id: str) -> bool:
        """Whether any catalogue has this text."""
        return any(bundle.has_message(id) for bundle in _bundles(self.code))

    def ago(self, moment: str | datetime, now: datetime | None = None) -> str:
        """How long ago something was, such as "3 hours ago"."""
        passed = (now or datetime.now(UTC)) - _moment(moment)
        if abs(passed.total_seconds()) < 60:
            return str(self.text("just-now"))
        return format_timedelta(
            -passed, granularity="minute", add_direction=True, threshold=1.0, locale=self.code
        )

    def time(self, moment: str | datetime) -> str:
        """A date and time in the reader's zone."""
        return format_datetime(_moment(moment), "medium", self.tz, self.code)

    def clock(self, moment: str | datetime) -> str:
        """The time of day alone."""
        return format_time(_moment(moment), "short", self.tz, self.code)

    def day(self, moment: str | datetime) -> str:
        """A date alone, with its weekday."""
        return format_date(self.local(moment).date(), "full", self.code)

    def local(self, moment: str | datetime) -> datetime:
        """A moment in the reader's zone."""
        return _moment(moment).astimezone(self.tz)

    def number(self, number: int) -> str:
        """A number with its groups of digits."""
        return format_decimal(number, locale=self.code)

    @property
    def tz(self) -> tzinfo:
        """The reader's time zone."""
        return _zone(self.zone) or UTC


def choose(accept_language: str, chosen: str | None) -> str:
    """The language that somebody chose, or else that their browser prefers (RFC 9110, 12.5.4)."""
    if chosen in LANGUAGES:
        return chosen
    wishes = [wish.partition(";q=") for wish in accept_language.replace(" ", "").split(",")]
    for language, _, _ in sorted(wishes, key=lambda wish: -_quality(wish[2])):
        if (code := language.partition("-")[0].lower()) in LANGUAGES:
            return code
    return DEFAULT


def known_zone(name: str | None) -> str:
    """A time zone by its name; one that nobody knows is UTC."""
    return name if name and _zone(name) else "UTC"


def _quality(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


@lru_cache(1_000)
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _moment(moment: str | datetime) -> datetime:
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def _safe(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(escape(value))


@cache
def _bundle(code: str) -> FluentBundle:
    bundle = FluentBundle([code], use_isolating=False)
    source = files("api.web").joinpath("catalogue", f"{code}.ftl").read_text("utf-8")
    bundle.add_resource(FluentResource(source))
    return bundle


def _bundles(code: str) -> Iterator[FluentBundle]:
    yield _bundle(code)
    if code != DEFAULT:
        yield _bundle(DEFAULT)


@lru_cache(MOST_PLAIN)
def _plain(code: str, id: str) -> Markup:
    return _format(code, id, {})


def _format(code: str, id: str, arguments: dict[str, Any]) -> Markup:
    for bundle in _bundles(code):
        if bundle.has_message(id) and (pattern := bundle.get_message(id).value):
            text, errors = bundle.format_pattern(pattern, arguments)
            if errors:
                raise KeyError(id, errors)
            return Markup(text)  # noqa: S704  # the arguments are escaped, the catalogue is ours
    raise KeyError(id)
