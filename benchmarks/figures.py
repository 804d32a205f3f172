"""A measured value beside what it is compared with."""

from dataclasses import dataclass


@dataclass
class Figure:
    """One measured value beside what it is compared with."""

    name: str
    value: float
    unit: str
    ceiling: float | None
    what: str
    target: str
    met: bool

    def row(self) -> str:
        """A row of the table."""
        ratio = f"{self.value / self.ceiling:.2f}" if self.ceiling else ""
        ceiling = f"{self.ceiling:,.2f} {self.what}" if self.ceiling else self.what
        value, met = f"{self.value:,.2f} {self.unit}", "yes" if self.met else "NO"
        return f"| {' | '.join((self.name, value, ceiling, ratio, self.target, met))} |"


def within(name: str, value: float, limit: float, what: str) -> Figure:
    """Milliseconds that should be no more than a limit."""
    return Figure(name, value, "ms", None, what, f"≤ {limit} ms", value <= limit)


def at_least(name: str, value: float, ceiling: float, what: str, ratio: float) -> Figure:
    """A rate that should reach a share of its ceiling."""
    return Figure(name, value, "/s", ceiling, what, f"≥ {ratio} ×", value >= ratio * ceiling)
