"""What a process says is one line a message, and is not said again and again."""

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from api.logs import OneLine, Unrepeated


def record(message: str, **options: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "WARNING", **options})


@given(st.text())
def test_whatever_is_said_is_one_line(message: str) -> None:
    assert len(OneLine("%(levelname)s x: %(message)s").format(record(message)).splitlines()) == 1


def test_the_words_of_a_message_stay() -> None:
    said = 'connection failed: FATAL:  no\n\tIs the server "running"?'
    assert OneLine().format(record(said)) == 'connection failed: FATAL: no Is the server "running"?'


def test_a_traceback_stays_readable() -> None:
    try:
        int("first")
    except ValueError:
        text = OneLine().format(record("it broke", exc_info=sys.exc_info()))
    assert text.startswith("it broke\nTraceback (most recent call last):\n")
    assert text.splitlines()[-1].startswith("ValueError: ")


@given(st.lists(st.sampled_from(["a", "b", "c"])))
def test_each_message_is_said_once_in_a_while(messages: list[str]) -> None:
    said = Unrepeated()
    passed = [message for message in messages if said.filter(record(message))]
    assert passed == list(dict.fromkeys(messages))


def test_it_is_said_again_after_a_while() -> None:
    said = Unrepeated(silence=0)
    assert said.filter(record("a"))
    assert said.filter(record("a"))
