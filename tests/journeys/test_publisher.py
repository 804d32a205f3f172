"""Every event reaches the stream once and in order, whoever is killed on the way."""

import json
import os
import random
import signal
import time
from pathlib import Path

import psycopg
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from api.embedded_postgres import attach, revive
from tests.conftest import sized
from tests.journeys.nats_server import STREAM, NatsServer
from tests.journeys.processes import run, until
from tests.journeys.publishing import (
    COMPANIES,
    ERASE,
    Publisher,
    alter,
    check,
    complete,
    found_companies,
    head,
    places,
    publish,
    write,
    writers,
)

TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'dynamic_tables_projector'
"""


def test_all_events_of_all_companies_arrive_once_and_in_order(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    found_companies(database)
    write(database)
    done = publish(tmp_path, database, server)
    assert (done.returncode, done.stdout) == (0, "")
    messages = server.messages()
    check(database, messages)
    subjects = {message.subject.partition(str(COMPANIES[0]))[2] for message in messages}
    assert subjects == {"", ".company.registered", ".table-def.created", ".table-def.renamed"}
    headers = messages[0].headers or {}
    event = json.loads(messages[0].data)
    assert headers["content-type"] == "application/cloudevents+json"
    assert (event["specversion"], event["id"]) == ("1.0", headers["Nats-Msg-Id"])
    assert publish(tmp_path, database, server).returncode == 0
    assert len(server.messages()) == len(messages)


def test_each_company_can_be_followed_alone(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    assert publish(tmp_path, database, server).returncode == 0
    seen = server.messages(f"dynamic-tables.{COMPANIES[1]}.>")
    assert len(seen) == head(database) / len(COMPANIES)
    assert {json.loads(message.data)["companyid"] for message in seen} == {str(COMPANIES[1])}


def test_what_happens_is_published_at_once(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    with Publisher(tmp_path, database, server).at_work() as publisher:
        write(database)
        complete(database, server)
        took = []
        for _ in range(8):
            started = time.monotonic()
            write(database, tables=1)
            complete(database, server)
            took.append(time.monotonic() - started)
        assert min(took[1:]) < 0.7, "woken, not polled each second"
        assert publisher.end() == 0


def test_a_publisher_killed_at_random_leaves_no_gap_and_nothing_twice(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    with Publisher(tmp_path, database, server).at_work() as publisher:
        with writers(database):
            for kill in range(1, 1 + sized(3, 10)):
                time.sleep(random.random() * 0.5)
                publisher.kill()
                publisher.start()
                until(lambda kill=kill: publisher.said("what is above") > kill, 45, "back again")
        complete(database, server)


def test_a_nats_server_killed_at_random_gets_what_it_lacks(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    with Publisher(tmp_path, database, server).at_work() as publisher:
        with writers(database):
            for kill in range(1, 1 + sized(1, 5)):
                time.sleep(0.2 + random.random())
                server.kill()
                until(lambda kill=kill: publisher.said("starts again") >= 1, 45, "it noticed")
                time.sleep(random.random())
                server.start()
                until(lambda kill=kill: publisher.said("what is above") > kill, 45, "back again")
        complete(database, server)
        assert publisher.end() == 0


def test_ended_connections_of_the_database_are_opened_again(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    with Publisher(tmp_path, database, server).at_work() as publisher:
        with writers(database), psycopg.connect(database, autocommit=True) as owner:
            for end in range(1, 1 + sized(2, 3)):
                time.sleep(random.random())
                assert owner.execute(TERMINATE).fetchone() == (1,)
                until(lambda end=end: publisher.said("what is above") > end, 45, "back again")
        complete(database, server)
        assert publisher.said("starts again: ") >= 1


def test_a_killed_database_is_waited_for(tmp_path: Path, server: NatsServer) -> None:
    data = tmp_path / "postgres"
    with attach(data) as url:
        assert run(data, "migrate").returncode == 0
        with Publisher(tmp_path, url, server).at_work() as publisher:
            with writers(url):
                until(lambda: server.state().messages > 100, 30, "under way")
                postmaster = int((data / "cluster/postmaster.pid").read_text().split()[0])
                os.kill(postmaster, signal.SIGKILL)
                until(lambda: publisher.said("starts again"), 30, "it noticed")
                until(lambda: revive(data, url), 30, "the last of it is gone")
                until(lambda: publisher.said("what is above") > 1, 45, "back again")
            complete(url, server)
            assert publisher.end() == 0


def test_of_two_publishers_one_works_and_the_other_takes_over(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    (tmp_path / "other").mkdir()
    with (
        Publisher(tmp_path, database, server).at_work() as first,
        Publisher(tmp_path / "other", database, server) as second,
        writers(database),
    ):
        refused = publish(tmp_path, database, server, "--rebuild")
        assert refused.returncode == 1
        assert "Error: Another publisher is at work on nats://" in refused.stderr
        assert second.said("what is above") == 0
        first.kill()
        second.at_work()
    publish(tmp_path, database, server)
    complete(database, server)


@pytest.mark.parametrize("window", [0.1, 3.0])
def test_a_rebuilt_stream_begins_at_the_first_event_for_those_who_follow_it(
    tmp_path: Path, database: str, server: NatsServer, window: float
) -> None:
    """What NATS still takes for duplicates is waited for."""
    server.make(duplicate_window=window, description="ours")
    write(database, tables=20)
    assert publish(tmp_path, database, server).returncode == 0
    first = server.messages()
    rebuilt = publish(tmp_path, database, server, "--rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    again = server.messages()
    check(database, again)
    assert again[0].metadata.sequence.stream == len(first) + 1

    async def description(jetstream: JetStreamContext) -> str | None:
        return (await jetstream.stream_info(STREAM)).config.description

    assert server.ask(description) == "ours"


def test_an_emptied_stream_does_not_say_where_to_go_on(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    assert publish(tmp_path, database, server).returncode == 0
    server.purge()
    refused = publish(tmp_path, database, server)
    assert refused.returncode == 1
    assert "its last one is gone" in refused.stderr
    assert refused.stderr.count("\n") == 1
    before = head(database)
    write(database)
    assert publish(tmp_path, database, server, "--after", str(before)).returncode == 0
    assert [position for position, _ in places(server.messages())] == list(
        range(before + 1, head(database) + 1)
    )


def test_a_restored_backup_is_noticed(tmp_path: Path, database: str, server: NatsServer) -> None:
    write(database)
    assert publish(tmp_path, database, server).returncode == 0
    last = head(database)
    alter(database, "DELETE FROM event_store.events WHERE position > %s", last - 5)
    for _ in ("without the events", "with others in their place"):
        refused = publish(tmp_path, database, server)
        assert refused.returncode == 1
        assert "Error: The copy is ahead of the store" in refused.stderr
        write(database)
    assert head(database) > last
    assert len(server.messages()) == last
    with Publisher(tmp_path, database, server) as publisher:
        assert publisher.process.wait(15) == 1
        assert publisher.said("The copy is ahead of the store") == 1


def test_a_position_that_the_store_does_not_have_is_refused(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    refused = publish(tmp_path, database, server, "--after", "7")
    assert refused.returncode == 1
    assert "has no event at position 7" in " ".join(refused.stderr.split())


def test_messages_of_others_are_noticed(tmp_path: Path, database: str, server: NatsServer) -> None:
    server.make()
    write(database)

    async def interfere(jetstream: JetStreamContext) -> None:
        await jetstream.publish("dynamic-tables.not.ours", b"{}")

    server.ask(interfere)
    refused = publish(tmp_path, database, server)
    assert refused.returncode == 1
    assert "is none of ours" in refused.stderr


def test_an_erased_event_is_published_without_its_content(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    alter(database, ERASE, 2)
    assert publish(tmp_path, database, server).returncode == 0
    messages: list[Msg] = server.messages()
    check(database, messages)
    event = json.loads(messages[1].data)
    assert (event["data"], event["erased"]) == (None, True)


def test_it_waits_for_a_server_that_is_away_and_ends_when_told_to(
    tmp_path: Path, database: str, server: NatsServer
) -> None:
    write(database)
    server.kill()
    refused = publish(tmp_path, database, server)
    assert refused.returncode == 1
    assert "Error: NATS: " in refused.stderr
    with Publisher(tmp_path, database, server) as publisher:
        until(lambda: publisher.said("starts again: NATS: "), 30, "it tries")
        assert publisher.end() == 0
        publisher.start()
        server.start()
        complete(database, server)


def test_the_password_is_used_and_not_told(tmp_path: Path, database: str) -> None:
    write(database)
    server = NatsServer(tmp_path / "jetstream", "ada:p4ssw%C3%B6rd")
    try:
        with Publisher(tmp_path, database, server).at_work() as publisher:
            until(lambda: publisher.said("above position 0"), 30, "it publishes")
        assert "p4ssw" not in publisher.log.read_text()
        server.url = server.url.replace("p4ssw", "another")
        refused = publish(tmp_path, database, server)
        assert refused.returncode == 1
        assert "another" not in refused.stderr
        assert "authorization" in refused.stderr.lower()
    finally:
        server.kill()
