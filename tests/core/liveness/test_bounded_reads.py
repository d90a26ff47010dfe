"""Several dependencies asked at once: one deadline, and one result for each."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

import pymongo
import pytest
import redis
from django.utils.translation import gettext, override
from pymongo.errors import ServerSelectionTimeoutError

from apps.core.liveness.bounded_reads import Dependency, Part, call_all, read_parts
from apps.core.storage.outages import mongo_outage, redis_outage


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging part waits for; opened at the end."""
    event = threading.Event()
    yield event
    event.set()


def part(read: Any, needs: Dependency = Dependency.MONGODB) -> Part:
    return Part(needs, read)


def ask(**asks: Callable[[], Any]) -> dict[str, Any]:
    return call_all(asks, deadline_seconds=20, late=lambda name: f"{name} is late")


def test_what_each_returned_in_the_order_of_asking() -> None:
    assert list(ask(b=lambda: 1, a=lambda: None).items()) == [("b", 1), ("a", None)]
    assert ask() == {}


def test_the_caller_says_what_stands_for_one_that_is_late(gate: threading.Event) -> None:
    reported = call_all(
        {"hangs": gate.wait, "lives": lambda: "here"},
        deadline_seconds=0.5,
        late=lambda name: f"{name} is late",
    )
    assert reported["hangs"] == "hangs is late"


def test_what_one_raises_is_raised_to_the_caller() -> None:
    with pytest.raises(KeyError, match="a bug"):
        ask(lives=lambda: 1, fails=lambda: {}["a bug"])


def test_one_that_hangs_does_not_keep_the_process_from_ending() -> None:
    assert ask(thread=threading.current_thread)["thread"].daemon


def test_the_data_of_every_part() -> None:
    found = read_parts({"one": part(lambda: 1), "none": part(lambda: None), "two": part(lambda: [2])})
    assert {name: outcome.data for name, outcome in found.items()} == {"one": 1, "none": None, "two": [2]}
    assert all(outcome.available for outcome in found.values())


def test_nothing_to_read() -> None:
    assert read_parts({}) == {}


def test_they_are_read_at_once(settings: Any) -> None:
    settings.PARTS_DEADLINE_SECONDS = 20
    together = threading.Barrier(3, timeout=10)  # no thread passes before all are there
    found = read_parts({str(number): part(together.wait) for number in range(3)})
    assert all(outcome.available for outcome in found.values())


def test_one_that_hangs_does_not_hold_the_others(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The deadline, when one of them is done: the other one never is.
    monkeypatch.setattr(
        "apps.core.liveness.bounded_reads.wait",
        lambda futures, timeout: wait(futures, return_when=FIRST_COMPLETED),
    )
    found = read_parts({"hangs": part(gate.wait), "lives": part(lambda: "here")})
    assert found["hangs"].error == "No response in time."
    assert found["hangs"].data is None
    assert found["lives"].data == "here"


def test_mongodb_is_given_less_time_than_there_is(settings: Any) -> None:
    settings.PARTS_DEADLINE_SECONDS = 5
    found = read_parts({"limit": part(pymongo._csot.remaining)})
    assert 0 < found["limit"].data < 5


def test_a_part_sees_the_context_of_its_request() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("of the request")
    assert read_parts({"one": part(variable.get)})["one"].data == "of the request"


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (ServerSelectionTimeoutError("at 10.0.0.1"), "No response in time (ServerSelectionTimeoutError)."),
        (redis.ConnectionError("at 10.0.0.1"), "No response in time (ConnectionError)."),
        (KeyError("secret"), "Failed (KeyError)."),
    ],
)
def test_what_fails_is_told_without_its_details(error: Exception, reported: str) -> None:
    def fail() -> Any:
        raise error

    found = read_parts({"fails": part(fail), "lives": part(lambda: 1)})
    assert found["fails"].error == reported
    assert found["lives"].available
    assert not mongo_outage.is_known


def test_a_dependency_that_has_just_failed_is_not_asked_again() -> None:
    asked = []
    mongo_outage.note()
    found = read_parts(
        {
            "mongodb": part(lambda: asked.append("mongodb")),
            "redis": part(lambda: asked.append("redis"), Dependency.REDIS),
        }
    )
    assert asked == ["redis"]
    assert found["mongodb"].error == "It did not respond a moment ago."
    redis_outage.note()
    assert not read_parts({"redis": part(lambda: 1, Dependency.REDIS)})["redis"].available


def test_parts_speak_the_language_of_who_asks() -> None:
    with override("zh-hans"):
        reported = read_parts({"words": part(lambda: gettext("Dashboard"), Dependency.REDIS)})
    assert reported["words"].data == "仪表盘"
