"""What was measured, side by side, and whether the targets hold."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers.work import Contender


@dataclass
class Row:
    """One operation with so many connections."""

    operation: str
    connections: int
    rates: dict[str, list[float]] = field(default_factory=dict)  # of each contender, each run
    failed: set[str] = field(default_factory=set)  # contenders who answered with errors

    def median(self, contender: Contender) -> float | None:
        """Requests per second, unless there were errors."""
        rates = self.rates.get(contender.name)
        return None if contender.name in self.failed or not rates else statistics.median(rates)

    def spread(self) -> float:
        """How far apart the runs of one contender were at most, as a share of their median."""
        shares = [(max(r) - min(r)) / (statistics.median(r) or 1) for r in self.rates.values()]
        return max(shares, default=0.0)

    def best(self, peers: Sequence[Contender]) -> float | None:
        """The rate of the best of these."""
        rates = [rate for peer in peers if (rate := self.median(peer)) is not None]
        return max(rates, default=None)

    def rivals(self, peers: Sequence[Contender]) -> list[Contender]:
        """Those whom we want to be ahead of: a write alone is only compared with what flushes."""
        everybody = self.connections > 1 or self.operation in ("get", "list")
        return [peer for peer in peers if everybody or peer.flushes]

    def verdict(self, ours: Contender, peers: Sequence[Contender]) -> str:
        """Whether the target holds."""
        rate, best = self.median(ours), self.best(self.rivals(peers))
        if rate is None:
            return "NO"
        return "—" if best is None else "yes" if rate > best else "NO"


def rates(rows: Sequence[Row], ours: Contender, peers: Sequence[Contender]) -> str:
    """Requests per second, as Markdown."""
    heads = [f"{c.name}{'' if c.flushes else ' (does not flush)'}" for c in (ours, *peers)]
    lines = [
        [
            "",
            "connections",
            *heads,
            "ours ÷ best peer",
            "ours ÷ best that flushes",
            "runs differ by",
            "target holds",
        ],
        ["---", *["---:"] * (len(heads) + 4), "---"],
    ]
    for row in rows:
        flushing = [peer for peer in peers if peer.flushes]
        ratios = [_ratio(row.median(ours), row.best(group)) for group in (peers, flushing)]
        cells = [_rate(row.median(c)) for c in (ours, *peers)]
        spread, verdict = f"{row.spread():.0%}", row.verdict(ours, peers)
        lines.append([row.operation, str(row.connections), *cells, *ratios, spread, verdict])
    return _table(lines)


def footprints(contenders: Sequence[Contender], loaded: dict[str, float]) -> str:
    """Start-up time and memory, as Markdown."""
    lines = [
        ["", "version", "start, s", "MiB after start", "MiB after the load"],
        ["---", "---", *["---:"] * 3],
    ]
    for each in contenders:
        memory = f"{each.idle:,.0f}", f"{loaded[each.name]:,.0f}"
        lines.append([each.name, each.version, f"{each.started_in:.1f}", *memory])
    return _table(lines)


def _rate(rate: float | None) -> str:
    return "errors" if rate is None else f"{rate:,.0f}"


def _ratio(rate: float | None, best: float | None) -> str:
    return f"{rate / best:.2f}" if rate and best else "—"


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
