"""Ours beside its peers: the same work in turn, on the same machine and database settings.

The result is printed, and kept in `build/peers.md`. About half an hour, and the first time a
quarter more for the installation, some 2 GB below `build/peers/`.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from api.embedded_postgres import attach
from benchmarks.load import ROUNDS, SECONDS, LoadFailed, versions
from benchmarks.peers import ours
from benchmarks.peers.directus import Directus
from benchmarks.peers.nocodb import NocoDB
from benchmarks.peers.peer import Unavailable, install, running, say
from benchmarks.peers.pocketbase import FlushingPocketBase, PocketBase
from benchmarks.peers.table import Row, footprints, rates
from benchmarks.peers.work import NEW, OPERATIONS, PAGE, SAMPLE, Contender
from benchmarks.service import own_database

PEERS = {
    peer.name.lower(): peer for peer in (Directus(), NocoDB(), PocketBase(), FlushingPocketBase())
}
CONNECTIONS = (1, 16, 32)
RESULT = Path("build/peers.md")
DURABILITY = ("fsync", "synchronous_commit")
HOW = f"""Everybody is up all the time and works in turn, run by run. The work is table definitions
of {len(NEW)} bytes, in an ordinary collection of each; {SAMPLE} of them are read and changed, each
is deleted once. A list is everybody's own first page of {PAGE}, without a total. A cell says
`errors` if anything but success was answered. Dynamic Tables runs with row-level security and its
projector, which is in its memory; the memory of PostgreSQL is in nobody's. PocketBase has its
database, SQLite, inside, and does not flush each commit to the disk: what it answered can be lost
with the power. So it runs a second time, told to flush (`PRAGMA synchronous = FULL`), as PostgreSQL
does for everybody else. The target holds where we are ahead of every peer; with one connection and
a write, of all that flush."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(PEERS), help="all without")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each run")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - PEERS.keys():
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(PEERS)}")
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as folder,
        attach(Path(folder) / "postgres") as url,
    ):
        result = _result(url, Path(folder), arguments)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(result)
    print(result)


def _result(url: str, folder: Path, arguments: argparse.Namespace) -> str:
    names, seconds, rounds = arguments.names or PEERS, arguments.seconds, arguments.rounds
    notes: list[str] = []
    durability = _durability(url)
    with ExitStack() as stack:
        database = stack.enter_context(own_database(url, "ours"))
        contenders = [stack.enter_context(ours.running(database))]
        for name in names:
            try:
                contenders.append(_enter(stack, name, url, folder))
            except Unavailable as why:
                notes.append(f"{PEERS[name].name} is left out: {why}")
        rows = list(_rows(contenders, seconds, rounds, notes))
        loaded = {each.name: each.memory() for each in contenders}
    first, *others = contenders
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}. {versions(url)}, Node {node.strip() or 'missing'}; "
        f"{durability}. Requests per second, medians of {rounds} runs of {seconds} s with wrk."
    )
    tables = rates(rows, first, others), footprints(contenders, loaded)
    noted = [f"- {note}" for note in notes]
    return "\n\n".join(["# Ours beside its peers", head, *tables, HOW, *noted]).rstrip() + "\n"


def _enter(stack: ExitStack, name: str, url: str, folder: Path) -> Contender:
    peer = PEERS[name]
    modules = install(peer)
    database = stack.enter_context(own_database(url, name))
    parts = {key: str(value) for key, value in conninfo_to_dict(database).items()}
    say(f"{peer.name}: setting up")
    return stack.enter_context(running(peer, modules, folder / name, parts))


def _rows(
    contenders: Sequence[Contender], seconds: int, rounds: int, notes: list[str]
) -> Iterator[Row]:
    for operation in OPERATIONS:
        _run(contenders, Row(operation, 16), 1, 1, notes)  # a warm-up
        for connections in CONNECTIONS:
            row = Row(operation, connections)
            _run(contenders, row, seconds, rounds, notes)
            medians = (f"{each.name} {row.median(each) or 0:,.0f}" for each in contenders)
            say(f"{operation}, {connections}: {', '.join(medians)}")
            yield row


def _run(
    contenders: Sequence[Contender], row: Row, seconds: int, rounds: int, notes: list[str]
) -> None:
    for number in range(rounds):
        # Nobody works after the same one each time.
        first = number % len(contenders)
        for each in (*contenders[first:], *contenders[:first]):
            if each.name in row.failed:
                continue
            try:
                rate = each.measure(row.operation, row.connections, seconds)
            except LoadFailed as why:
                row.failed.add(each.name)
                notes.append(f"{each.name}, {row.operation}, {row.connections} connections: {why}")
            else:
                row.rates.setdefault(each.name, []).append(rate)


def _durability(url: str) -> str:
    with psycopg.connect(url) as connection:
        found = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in DURABILITY
        }
    values = {name: str(row[0]) if row else "?" for name, row in found.items()}
    if set(values.values()) != {"on"}:
        raise SystemExit(f"the database does not keep what it answers: {values}")
    return ", ".join(f"{name} {value}" for name, value in values.items())


if __name__ == "__main__":
    main()
