"""All benchmarks of the service, as one table; or those that are named. About an hour.

`endurance` runs only when it is named, for half an hour or `--minutes`.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from api.collector import collect_seldom
from api.embedded_postgres import attach
from api.migrations import migrate
from benchmarks import auditing, checking, endurance, following, growth, serving
from benchmarks.figures import Figure, at_least, within
from benchmarks.load import CREATE, versions, wrk
from benchmarks.service import own_database, running

LOGGING_ROUNDS = 3
FLAT = 1.15  # times what it was at first: memory, files and connections are not to grow


def main() -> None:
    """Run them and print the table, row by row."""
    benchmarks = {
        "throughput": serving.throughput, "latency": serving.latency, "size": serving.size,
        "following": _following,
        "checking": _checking, "logging": _logging, "auditing": _auditing, "growth": _growth,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(benchmarks))
    parser.add_argument("--minutes", type=float, default=30)
    given = parser.parse_args()
    if unknown := set(given.names) - benchmarks.keys() - {"endurance"}:
        parser.error(f"there is no {', '.join(unknown)}")
    benchmarks["endurance"] = partial(_endurance, minutes=given.minutes)
    collect_seldom()  # as the commands do that are measured in this process
    named = given.names or [name for name in benchmarks if name != "endurance"]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, attach(Path(folder)) as url:
        print(f"\n{versions(url)}, one API process, projector running, wrk with 32 connections\n")
        print("| what | measured | ceiling, same run | ratio | target | met |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name in named:
            for figure in benchmarks[name](url):
                print(figure.row(), flush=True)


def _following(url: str) -> Iterator[Figure]:
    with own_database(url, "following") as database, running(database) as service:
        asyncio.run(following.writes(service, 100, 0.0))
        fanned_out = asyncio.run(following.fanned_out(service))
        woken, idle, busy = asyncio.run(following.polled(service))
    what = f"{following.POLLS:,} long polls, {following.POLLS // following.COMPANIES} woken"
    yield within("commit → long poll, p50", woken.ms(0.5), 20, what)
    yield Figure(
        f"write, p99, {following.POLLS:,} long polls", busy.ms(0.99), "ms", idle.ms(0.99),
        "without", "≤ 2 ×", busy.ms(0.99) <= 2 * idle.ms(0.99),
    )  # fmt: skip
    what = f"one event to {following.STREAMS} streams"
    yield within("commit → stream, p50", fanned_out.ms(0.5), 250, what)
    yield within("commit → stream, p99", fanned_out.ms(0.99), 250, what)
    with own_database(url, "feed") as database, running(database, projector=False) as service:
        asyncio.run(following.writes(service, 1, 0.0))
        following.copy_events(database, 200_000)
        bare = following.bare_read(database)
        count, rate = asyncio.run(following.from_zero(service))
        following.copy_events(database, following.MILLION - count)
        lines = asyncio.run(following.memory(service.pid, lambda: following.from_zero(service)))
        stream = asyncio.run(
            following.memory(
                service.pid, lambda: following.streamed(service, following.MILLION - 1)
            )
        )
    met = rate >= 50_000 or rate >= 0.5 * bare
    target = "≥ 50,000/s or ≥ 0.5 ×"
    yield Figure("feed from zero, lines", rate, "events/s", bare, "bare SQL, psycopg", target, met)
    for name, (before, most) in (("lines", lines), ("a stream", stream)):
        yield Figure(
            f"memory, a million as {name}", most, "MB", before, "before", "≤ 1.2 ×",
            most <= 1.2 * before,
        )  # fmt: skip


def _checking(url: str) -> Iterator[Figure]:
    with own_database(url, "checking") as database:
        asyncio.run(migrate(database, database))
        events = asyncio.run(checking.fill(database))
        alone, together = checking.rate(database, 1), checking.rate(database)
    what = f"{events:,} events, one process"
    yield Figure(
        "replay --check", together, "events/s", alone, what, "≥ 50,000", together >= 50_000
    )


def _logging(url: str) -> Iterator[Figure]:
    """What the projections off the request path take from it: they share the processors."""
    rates: dict[str, list[float]] = {"": [], "audit-log": [], "history": []}
    for number in range(LOGGING_ROUNDS):
        for without, found in rates.items():
            with (
                own_database(url, f"logging_{number}") as database,
                running(database, without=without) as service,
            ):
                found.append(wrk(f"{service.address}/api/tables", service.key, CREATE))
    create, *others = (statistics.median(found) for found in rates.values())
    for without, target, ceiling in zip(("audit-log", "history"), (0.97, 0.8), others, strict=True):
        yield at_least(f"create, with {without}", create, ceiling, "without", target)


def _auditing(url: str) -> Iterator[Figure]:
    with own_database(url, "auditing") as database:
        asyncio.run(migrate(database, database))
        rates = auditing.fill(database)
        what = f"{auditing.TABLES * auditing.VERSIONS + auditing.LONG:,} events"
        for name, rate in rates.items():
            yield Figure(
                f"rebuild {name}", rate, "events/s", None, what, "≥ 20,000", rate >= 20_000
            )
        with running(database, projector=False) as service:
            for sort, present, past in auditing.as_of(service):
                yield Figure(
                    f"list as of, {sort}", past.median, "ms", present.median, "now", "≤ 2 ×",
                    past.median <= 2 * present.median,
                )  # fmt: skip
            for page in auditing.pages(service):
                yield within(f"{page.name}, p95", page.p95, 30, f"{page.median:.1f} ms the median")


def _growth(url: str) -> Iterator[Figure]:
    """From a thousand tables to a million; the ratio is that of the largest to the smallest."""
    found = []
    for tables in growth.SIZES:
        with own_database(url, f"growth_{tables}") as database:
            found.append(growth.grown(database, tables))
    least, *between, most = found
    for name in growth.FLAT:
        what = ", ".join(f"{each.ms[name]:.2f} at {each.tables:,}" for each in between)
        yield Figure(
            f"{name}, {most.tables:,} tables", most.ms[name], "ms", least.ms[name],
            f"at {least.tables:,}; {what}", "≤ 1.5 ×", most.ms[name] <= 1.5 * least.ms[name],
        )  # fmt: skip
    for name, rate in most.rates.items():
        what = ", ".join(f"{each.rates[name]:,.0f} at {each.tables:,}" for each in found[:-1])
        target = "≥ 20,000" if name.startswith("rebuild") else ""
        yield Figure(name, rate, "events/s", None, what, target, not target or rate >= 20_000)


def _endurance(url: str, minutes: float) -> Iterator[Figure]:
    """Mixed load: each figure of the last tenth of the time beside that of the second."""
    with own_database(url, "endurance") as database, running(database) as service:
        samples = asyncio.run(endurance.endured(service, minutes))
    count = sum(len(sample.taken) for sample in samples)
    for key, last in samples[-1].figures.items():
        first = samples[0].figures[key]
        allowed = 1.5 if key.endswith("ms") else FLAT
        name, _, unit = key.partition(", ")
        yield Figure(
            f"{name} after {minutes:g} minutes", last, unit, first, f"at first; {count:,} requests",
            f"≤ {allowed} ×", last <= allowed * first,
        )  # fmt: skip


if __name__ == "__main__":
    main()
