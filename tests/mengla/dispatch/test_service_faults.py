"""Everything a collection service can do wrong, as a reader sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.mengla.dispatch import dispatcher
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.queue import jobs
from apps.mengla.simulator.sender import WebhookSender
from apps.mengla.simulator.server import Simulator
from tests.mengla.support import collections, figures_of, hot, make_overdue, make_stale, records, statuses

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
CollectAll = Callable[[], int]
ASK = {"primaryCatId": "1001", "action": "hot", "timest": "2025-06"}
FIGURES = {**figures_of(hot()), "secondaryCategories": []}


@pytest.fixture
def ask(reader: APIClient) -> Callable[..., Any]:
    def get(**parameters: str) -> Any:
        return reader.get("/api/mengla/", {**ASK, **parameters})

    return get


def assert_served(response: Any) -> None:
    assert response.status_code == 200, response.json()
    assert response.json()["data"] == FIGURES


@pytest.mark.parametrize(
    "fault",
    [
        {"early": True},
        {"duplicate_rate": 1.0},
        {"duplicate_rate": 1.0, "duplicate_delay_seconds": 0.05},
        {"heartbeats": 3},
        {"heartbeats": 2, "early": True, "duplicate_rate": 1.0},
        {"flat_wrap": 4},
        {"late_seconds": 0.05},
        {"bom": True, "heartbeats": 1},
        {"decoy_tasks": 24, "max_page_size": 20},
    ],
    ids=lambda fault: "+".join(fault),
)
def test_oddities_do_not_matter(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any], fault: dict[str, Any]
) -> None:
    service.set_knobs(**fault)
    assert ask().status_code == 202
    assert collect_all() == 1
    assert_served(ask())
    assert statuses() == ["SUCCEEDED"]


@pytest.mark.parametrize(
    "fault",
    [
        {"failure_rate": 1.0},
        {"garbage_rate": 1.0, "garbage_kind": "string"},
        {"empty_rate": 1.0, "empty_kind": "missing_key"},
        {"empty_rate": 1.0, "empty_kind": "code"},
        {"empty_rate": 1.0, "empty_kind": "null"},
        {"empty_rate": 1.0, "empty_kind": "empty_list"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_failures_and_nothing_are_never_served_as_data_nor_kept_as_such(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any], fault: dict[str, Any]
) -> None:
    """The reference kept all of these and served them as hits when the service was healthy again."""
    ask()
    service.set_knobs(**fault)
    collect_all()
    response = ask()
    if response.status_code == 200:
        assert response.json()["data"] is None
        assert response.json()["message"].startswith("empty:")
        assert response.headers["X-MengLa-Freshness"] == "empty"
    else:
        assert response.status_code == 202
        assert records() == {}

    service.set_knobs(**dict.fromkeys(("failure_rate", "garbage_rate", "empty_rate"), 0.0))
    make_stale(hot())  # ten minutes later
    ask(refresh="true")
    collect_all()
    assert_served(ask())
    assert_served(ask())


@pytest.mark.parametrize("kind", ["html", "list"])
def test_a_body_that_cannot_be_used_ends_the_attempt_at_once(
    service: Simulator, ask: Callable[..., Any], collect_all: CollectAll, kind: str
) -> None:
    service.set_knobs(garbage_rate=1.0, garbage_kind=kind)
    ask()
    collect_all()
    (ended,) = collections()
    assert (ended["status"], ended["error_code"], ended["attempts"]) == ("FAILED", "unreadable_payload", 2)
    service.set_knobs(garbage_rate=0.0)
    ask()
    collect_all()
    assert_served(ask())


def test_a_forged_answer_does_not_count(
    service: Simulator, ask: Callable[..., Any], collect_all: CollectAll
) -> None:
    service.set_knobs(wrong_signature_rate=1.0)
    ask()
    run_dispatch()
    assert service.wait_idle(20)
    (waiting,) = collections()
    assert waiting["status"] == "DISPATCHED"
    assert records() == {}


def test_an_answer_that_never_comes_is_asked_again(
    service: Simulator, ask: Callable[..., Any], collect_all: CollectAll
) -> None:
    service.set_knobs(drop_rate=1.0)
    ask()
    run_dispatch()
    make_overdue(collections()[0])
    assert run_tick().overdue == 1
    service.set_knobs(drop_rate=0.0)
    collect_all()
    assert_served(ask())


def test_when_it_never_comes_at_all_the_reader_learns_why(
    service: Simulator, ask: Callable[..., Any], reader: APIClient
) -> None:
    service.set_knobs(drop_rate=1.0)
    address = ask().headers["Location"]
    for _ in range(2):
        run_dispatch()
        make_overdue(collections()[0])
        run_tick()
    status = reader.get(address).json()["data"]
    assert (status["status"], status["error"], status["attempts"]) == ("FAILED", "timeout", 2)
    assert status["error_message"] == "No answer came in time."


def test_an_answer_after_the_retry_was_sent_ends_it(
    service: Simulator, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first execution is slow: its answer comes while the second one runs."""
    is_second_sent, post = threading.Event(), WebhookSender.post

    def post_late(*arguments: Any, **options: Any) -> None:
        assert is_second_sent.wait(20)
        post(*arguments, **options)

    monkeypatch.setattr(WebhookSender, "post", post_late)
    service.set_knobs(concurrency=2)
    ask()
    run_dispatch()
    (first,) = collections()
    make_overdue(first)
    run_tick()
    service.set_knobs(drop_rate=1.0)
    assert run_dispatch() == 1
    is_second_sent.set()
    assert service.wait_idle(20)
    (ended,) = collections()
    assert (ended["status"], ended["attempts"]) == ("SUCCEEDED", 2)
    assert_served(ask())


def test_an_early_answer_whose_address_lost_its_query_is_matched_by_its_execution(
    service: Simulator,
    ask: Callable[..., Any],
    collect_all: CollectAll,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "_webhook_url", lambda _collection: settings.MENGLA_WEBHOOK_URL)
    service.set_knobs(early=True)
    ask()
    assert collect_all() == 1
    assert_served(ask())


def test_a_worker_that_died_right_after_its_claim_loses_nothing(
    service: Simulator, ask: Callable[..., Any], collect_all: CollectAll
) -> None:
    ask()
    claimed = jobs.claim(slot_count=1)
    assert claimed is not None
    assert run_dispatch() == 0  # its slot is taken
    make_overdue(claimed)
    run_tick()
    collect_all()
    assert_served(ask())


def test_a_worker_that_died_before_it_noted_the_execution_loses_nothing(
    service: Simulator, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_arguments: Any, **_options: Any) -> None:
        raise Killed

    ask()
    service.set_knobs(late_seconds=0.05)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "mark_accepted", die)
        with pytest.raises(Killed):
            run_dispatch()
    assert service.wait_idle(20)
    assert_served(ask())
    assert service.stats()["execute_requests"] == 1


def test_four_bad_questions_change_nothing(
    service: Simulator, ask: Callable[..., Any], collect_all: CollectAll
) -> None:
    for timest in ("2025-13", "x", "", "2025-02-30"):
        assert ask(timest=timest).status_code == 400
    assert collections() == []
    ask()
    collect_all()
    assert_served(ask())
    assert service.stats()["execute_requests"] == 1
