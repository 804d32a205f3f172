"""The templates, and what they are written with."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from lucide import IconDoesNotExist
from lucide.jinja import lucide
from markupsafe import Markup, escape

from api.event_schemas import TOPICS
from api.web.static_files import address

MOST_ICONS = 2_000
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_EMPHASISED = re.compile(r"(?<!\\)\*((?:\\.|[^\\*])*)\*")
_ESCAPED = re.compile(r"\\(.)")
DARK, LIGHT = "#1b1a22", "#ffffff"


@cache
def environment() -> Environment:
    """The templates of the package."""
    made = Environment(
        loader=PackageLoader("api.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "address": address, "icon": icon, "has_icon": has_icon, "readable_on": readable_on,
        "is_color": is_color, "symbols": symbols, "drawn": drawn,
        "with_query": with_query, "emphasised": emphasised, "kind_of": kind_of,
    }  # fmt: skip
    return made


@lru_cache(MOST_ICONS)
def icon(name: str, size: int = 18) -> Markup:
    """An icon of the package; beside a text it says nothing, so that nobody has it read out."""
    said = {"aria-hidden": "true", "focusable": "false", "class": "icon"}
    return Markup(lucide(name, size=size, **said))  # noqa: S704  # its file is of the package


@lru_cache(MOST_ICONS)
def symbols(*names: str) -> Markup:
    """Icons that a page shows many times, as symbols that `drawn` refers to."""
    inner = Markup().join(
        Markup('<symbol id="icon-{}" viewBox="0 0 24 24">{}</symbol>').format(name, icon(name, 24))
        for name in names
    )
    return Markup("<svg hidden>{}</svg>").format(inner)


def drawn(name: str, size: int = 18) -> Markup:
    """An icon that is among the symbols of the page."""
    attributes = f'class="icon" width="{size}" height="{size}" aria-hidden="true"'
    return Markup(f'<svg {attributes}><use href="#icon-{name}"/></svg>')  # noqa: S704  # both ours


@lru_cache(MOST_ICONS)
def has_icon(name: str) -> bool:
    """Whether the package has an icon of this name."""
    try:
        icon(name)
    except IconDoesNotExist:
        return False
    return True


@lru_cache(MOST_ICONS)
def readable_on(color: str) -> str:
    """Black or white, whichever has more contrast (WCAG 2.2, 1.4.3) on a colour `#rrggbb`."""
    light = _luminance(color)
    return LIGHT if 1.05 / (light + 0.05) >= (light + 0.05) / (_luminance(DARK) + 0.05) else DARK


def is_color(text: str | None) -> bool:
    """Whether something that somebody typed can be drawn as a colour."""
    return bool(text and _COLOR.fullmatch(text))


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def with_query(path: str, query: Mapping[str, Any], **changes: Any) -> str:
    """An address with these parameters but for what changes; None and empty ones are left out."""
    parameters = {name: value for name, value in {**query, **changes}.items() if value}
    return f"{path}?{urlencode(parameters)}" if parameters else path


def kind_of(type: str) -> str:
    """The id of the text that says of which kind events of a type are."""
    return f"kind-{TOPICS[type].replace('.', '-')}"


def emphasised(sentence: str) -> Markup:
    """A sentence of the history: what is between `*` is emphasised, `\\` escapes."""
    parts = _EMPHASISED.split(sentence)
    plain = [escape(_ESCAPED.sub(r"\1", part)) for part in parts]
    plain[1::2] = [Markup("<em>{}</em>").format(part) for part in plain[1::2]]
    return Markup().join(plain)
