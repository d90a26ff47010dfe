"""The dispatcher when the service refuses, breaks or is down, and when MongoDB or Redis is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from pymongo.errors import ServerSelectionTimeoutError

from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Priority
from apps.mengla.dispatch import dispatcher
from apps.mengla.dispatch.breaker_control import reset_breaker
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.queue import abandoned, jobs
from apps.mengla.queue.overdue import fail_overdue
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker, client, spacing
from apps.mengla.upstream.client import CollectionServiceClient
from tests.mengla.stub_service import TASK_NAME, Reply, StubService, accepted, tasks
from tests.mengla.support import change, collections, enqueue, hot, make_overdue, statuses
from tests.parallel import own_port

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
CollectAll = Callable[[], int]
MONTHS = [f"2025{number:02}" for number in range(1, 13)]


def refusing(status: int) -> dict[str, Any]:
    """Parameters that make the simulator refuse this one request."""
    return {"_sim": {"execute_error_rate": 1.0, "execute_status": status}}


def end_pause_of_breaker(redis_client: redis.Redis) -> None:
    """Let the time pass after which an open breaker allows a probe."""
    redis_client.hset(breaker.KEY, "opened_at", "0")


class TestRefusals:
    def test_a_server_error_costs_no_attempt_and_the_rest_goes_on(
        self, service: Simulator, dispatch_now: Callable[[], int], settings: Any
    ) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 100
        enqueue(hot("202501", extra=refusing(500)))
        enqueue(hot("202502"))
        assert dispatch_now() == 2
        refused, succeeded = collections()
        assert (refused["status"], refused["attempts"], refused["refusals"]) == ("PENDING", 0, 1)
        assert (refused["error_code"], refused["slot"]) == ("service_error", None)
        assert "500" in refused["error_message"]
        assert 75 <= (refused["not_before"] - refused["refused_since"]).total_seconds() <= 100
        assert succeeded["status"] == "SUCCEEDED"

    def test_the_pause_of_a_refused_collection_grows_to_a_limit(
        self, service: Simulator, settings: Any
    ) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 100
        settings.CB_FAILURE_THRESHOLD = 1000
        settings.CB_TIMEOUT = 300
        collection_id = enqueue(hot(extra=refusing(500)))
        for refusals, pause_seconds in ((1, 100), (2, 200), (3, 400), (4, 600), (5, 600)):
            change({"_id": collection_id}, not_before=utc_now())
            assert run_dispatch() == 1
            (refused,) = collections()
            assert (refused["status"], refused["attempts"], refused["refusals"]) == ("PENDING", 0, refusals)
            pause = (refused["not_before"] - refused["updated_at"]).total_seconds()
            assert 0.75 * pause_seconds - 1 <= pause <= pause_seconds

    @pytest.mark.parametrize(("hours", "status"), [(23.9, "PENDING"), (24.1, "FAILED")])
    def test_after_a_day_of_refusals_it_fails(self, service: Simulator, hours: float, status: str) -> None:
        collection_id = enqueue(hot(extra=refusing(503)))
        change({"_id": collection_id}, refused_since=utc_now() - timedelta(hours=hours), refusals=50)
        assert run_dispatch() == 1
        (ended,) = collections()
        assert (ended["status"], ended["attempts"], ended["refusals"]) == (status, 0, 51)
        assert ended["error_code"] == "service_error"

    def test_what_only_a_cancelled_run_wanted_is_cancelled(self, service: Simulator) -> None:
        collection_id = enqueue(hot(extra=refusing(500)))
        change({"_id": collection_id}, has_reader=False, run_ids=["0123456789abcdef01234567"])
        assert run_dispatch() == 1
        (ended,) = collections()
        assert (ended["status"], ended["attempts"], ended["active_key"]) == ("CANCELLED", 0, None)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_stops_everything_at_once_and_harms_nothing(
        self,
        service: Simulator,
        collect_all: CollectAll,
        redis_client: redis.Redis,
        settings: Any,
        status: int,
    ) -> None:
        settings.CB_SUCCESS_THRESHOLD = 1
        service.set_knobs(execute_error_rate=1.0, execute_status=status)
        for month in MONTHS:
            enqueue(hot(month))
        assert run_dispatch() == 1
        assert run_dispatch() == 0
        snapshot = breaker.snapshot()
        assert (snapshot.next_probe_seconds > 0, snapshot.reason) == (True, "unauthorized")
        assert statuses() == ["PENDING"] * 12
        assert [one["refusals"] for one in collections()] == [1, *[0] * 11]

        service.set_knobs(execute_error_rate=0.0)
        end_pause_of_breaker(redis_client)
        collect_all()
        assert statuses() == ["SUCCEEDED"] * 12
        assert [one["attempts"] for one in collections()] == [1] * 12

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_rejection_is_not_retried(
        self, service: Simulator, collect_all: CollectAll, status: int
    ) -> None:
        enqueue(hot(extra=refusing(status)))
        assert collect_all() == 1
        (failed,) = collections()
        assert (failed["status"], failed["attempts"], failed["error_code"]) == ("FAILED", 1, "rejected")

    def test_rejections_do_not_leave_the_breaker_half_open(
        self, service: Simulator, collect_all: CollectAll, settings: Any, redis_client: redis.Redis
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = 2
        service.set_knobs(down=True)
        enqueue(hot("202501"))
        run_dispatch()
        assert breaker.snapshot().next_probe_seconds > 0
        service.set_knobs(down=False)
        end_pause_of_breaker(redis_client)
        for month in MONTHS[1:5]:
            enqueue(hot(month, extra=refusing(400)))
        enqueue(hot("202512"))
        collect_all()
        assert statuses() == ["SUCCEEDED"] + ["FAILED"] * 4 + ["SUCCEEDED"]
        assert breaker.snapshot().state == "closed"

    def test_too_many_requests_makes_everybody_wait(self, service: Simulator) -> None:
        service.set_knobs(execute_error_rate=1.0, execute_status=429, retry_after_seconds=60)
        enqueue(hot("202501"))
        enqueue(hot("202502"))
        assert run_dispatch() == 1
        assert run_dispatch() == 0
        assert statuses() == ["PENDING", "PENDING"]
        waiting = collections()[0]
        assert (waiting["error_code"], waiting["attempts"], waiting["refusals"]) == ("rate_limited", 0, 1)
        assert waiting["not_before"] <= waiting["updated_at"]  # the dispatcher pauses, so the order stays
        assert service.stats()["execute_requests"] == 1
        assert breaker.snapshot().state == "closed"

    def test_too_many_requests_without_a_time_burn_nothing(
        self, service: Simulator, collect_all: CollectAll, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "_FIRST_SLOWDOWN_SECONDS", 0.01)
        service.set_knobs(execute_error_rate=1.0, execute_status=429, retry_after_seconds=0)
        for month in MONTHS[:8]:
            enqueue(hot(month))
        assert run_dispatch(max_seconds=1) > 1
        assert statuses() == ["PENDING"] * 8
        assert breaker.snapshot().state == "closed"
        service.set_knobs(execute_error_rate=0.0)
        collect_all()
        assert statuses() == ["SUCCEEDED"] * 8
        assert [one["attempts"] for one in collections()] == [1] * 8

    def test_the_pauses_double_and_begin_anew_after_a_success(self, service: Simulator) -> None:
        waits = [client._slowdown_seconds(breaker.record_slowdown()) for _ in range(7)]
        for wait, expected in zip(waits, (1, 2, 4, 8, 16, 30, 30), strict=True):
            assert 0.75 * expected <= wait <= 1.25 * expected
        breaker.record_success()
        assert breaker.record_slowdown() == 1

    def test_an_unknown_task_stops_everything_at_once_and_harms_nothing(
        self, stub: StubService, redis_client: redis.Redis
    ) -> None:
        stub.say(tasks("another"), tasks(), tasks(TASK_NAME), accepted())
        for month in MONTHS[:3]:
            enqueue(hot(month))
        before = collections()
        assert run_dispatch() == 0
        assert run_dispatch() == 0
        assert len(stub.asked) == 2
        assert breaker.snapshot().reason == "unknown_task"
        assert collections() == before
        end_pause_of_breaker(redis_client)
        run_dispatch()
        assert [asked.method for asked in stub.asked[2:]] == ["GET", "POST"]
        assert statuses() == ["DISPATCHED", "PENDING", "PENDING"]

    def test_a_task_that_got_another_id_is_found_again(
        self, service: Simulator, collect_all: CollectAll
    ) -> None:
        enqueue(hot("202501"))
        collect_all()
        service.set_knobs(task_id="another-id")
        enqueue(hot("202502"))
        collect_all()
        assert statuses() == ["SUCCEEDED", "SUCCEEDED"]
        stats = service.stats()
        assert (stats["unknown_task_requests"], stats["task_list_requests"]) == (1, 2)
        assert [one["attempts"] for one in collections()] == [1, 1]

    def test_until_its_task_is_found_again_a_collection_is_not_under_way(
        self, stub: StubService, settings: Any
    ) -> None:
        """The next turn may be an hour away: held that long, the tick would have it asked for twice."""
        stub.say(tasks(TASK_NAME), Reply({}, 404))
        with CollectionServiceClient() as service:
            service.look_up_managed_task_id()
        settings.COLLECT_INTERVAL_SECONDS = 3600
        enqueue(hot())
        assert run_dispatch() == 1
        (collection,) = collections()
        assert (collection["status"], collection["attempts"], collection["slot"]) == ("PENDING", 0, None)

    def test_a_task_that_is_listed_and_not_known_stops_everything(self, stub: StubService) -> None:
        stub.say(tasks(TASK_NAME), Reply({}, 404), tasks(TASK_NAME), Reply({}, 404))
        enqueue(hot())
        run_dispatch()
        (collection,) = collections()
        assert (collection["status"], collection["attempts"]) == ("PENDING", 0)
        assert collection["error_code"] == "unknown_task"
        assert breaker.snapshot().reason == "unknown_task"
        assert len(stub.asked) == 3

    def test_what_says_nothing_askable_is_given_up(self, service: Simulator, collect_all: CollectAll) -> None:
        for number, damage in enumerate([{"extra": {"catId": "9"}}, {"start_key": "x"}, {"action": "x"}]):
            change({"_id": enqueue(hot(MONTHS[number]))}, **damage)
        enqueue(hot("202512"))
        assert collect_all() == 1
        assert statuses() == ["FAILED", "FAILED", "FAILED", "SUCCEEDED"]
        assert {one["error_code"] for one in collections()[:3]} == {"unknown"}


class TestServiceIsDown:
    def test_after_some_failures_nothing_is_sent_and_nothing_fails(self, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = f"http://127.0.0.1:{own_port()}"
        settings.CB_FAILURE_THRESHOLD = 3
        for month in MONTHS:
            enqueue(hot(month))
        run_dispatch()
        assert breaker.snapshot().next_probe_seconds > 0
        assert statuses().count("PENDING") >= 10
        before = collections()
        assert run_dispatch() == 0
        assert collections() == before

    def test_a_miss_of_an_outage_is_collected_first_when_the_service_is_back(
        self, service: Simulator, dispatch_now: Callable[[], int], settings: Any, redis_client: redis.Redis
    ) -> None:
        """The probe of the task list costs no attempt, and the pauses of the outage end with it."""
        settings.CB_SUCCESS_THRESHOLD = 1
        settings.COLLECT_RETRY_DELAY_SECONDS = 1000
        settings.CB_FAILURE_THRESHOLD = 2
        with CollectionServiceClient() as known:
            known.look_up_managed_task_id()
        miss = enqueue(hot("202501"))
        planned = [enqueue(hot(month), priority=Priority.BACKFILL) for month in MONTHS[1:6]]
        service.set_knobs(down=True)
        run_dispatch()
        assert breaker.snapshot().next_probe_seconds > 0
        refused = {one["_id"]: one["refusals"] for one in collections() if one["refusals"]}
        assert refused == {miss: 1, planned[0]: 1}

        for _ in range(3):  # only the task list is asked for
            end_pause_of_breaker(redis_client)
            before = collections()
            run_dispatch()
            assert breaker.snapshot().next_probe_seconds > 0
            assert collections() == before

        service.set_knobs(down=False)
        end_pause_of_breaker(redis_client)
        while dispatch_now():
            pass
        assert statuses() == ["SUCCEEDED"] * 6
        assert [one["attempts"] for one in collections()] == [1] * 6
        sent = sorted(collections(), key=lambda one: one["dispatched_at"])
        assert sent[0]["_id"] == miss

    def test_with_nothing_left_to_collect_the_task_list_closes_the_breaker(
        self, service: Simulator, redis_client: redis.Redis, settings: Any
    ) -> None:
        """Otherwise the last outage is reported until a new collection is requested."""
        settings.CB_SUCCESS_THRESHOLD = 3
        breaker.record_refusal("unauthorized")
        end_pause_of_breaker(redis_client)
        assert run_dispatch() == 0
        assert breaker.snapshot().state == "closed"
        assert service.stats()["execute_requests"] == 0

    def test_a_reset_ends_the_pause_that_the_service_asked_for(self, stub: StubService) -> None:
        stub.say(tasks(TASK_NAME), Reply({}, 503, {"Retry-After": "1800"}), accepted())
        enqueue(hot())
        run_dispatch()
        assert spacing.remaining_pause_seconds() > 1700
        assert run_dispatch() == 0
        reset_breaker(reset_by="tests")
        change({"_id": collections()[0]["_id"]}, not_before=utc_now())
        assert run_dispatch() == 1

    def test_one_that_alone_upsets_the_service_does_not_stop_the_others(
        self, service: Simulator, dispatch_now: Callable[[], int], settings: Any, redis_client: redis.Redis
    ) -> None:
        settings.CB_SUCCESS_THRESHOLD = 2
        settings.COLLECT_RETRY_DELAY_SECONDS = 100
        culprit = enqueue(hot("202501", extra=refusing(403)))
        for month in MONTHS[1:]:
            enqueue(hot(month))
        for _ in range(3):
            while dispatch_now():
                pass
            end_pause_of_breaker(redis_client)
        by_id = {one["_id"]: one["status"] for one in collections()}
        assert by_id.pop(culprit) == "PENDING"
        assert set(by_id.values()) == {"SUCCEEDED"}

    def test_a_probe_that_is_refused_is_put_back_unharmed(
        self, service: Simulator, settings: Any, redis_client: redis.Redis
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = 1
        service.set_knobs(execute_error_rate=1.0, execute_status=503)
        enqueue(hot())
        run_dispatch()
        for refusals in (2, 3):
            end_pause_of_breaker(redis_client)
            run_dispatch()  # its pause is not over, but nothing else is there to try
            (probe,) = collections()
            assert (probe["status"], probe["attempts"], probe["refusals"]) == ("PENDING", 0, refusals)
            assert breaker.snapshot().next_probe_seconds > 0

    def test_the_collection_that_failed_as_a_probe_is_not_the_next_probe(
        self, service: Simulator, collect_all: CollectAll, settings: Any, redis_client: redis.Redis
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = settings.CB_SUCCESS_THRESHOLD = 1
        poison = enqueue(hot("202501", extra=refusing(500)))
        enqueue(hot("202502"))
        run_dispatch()
        for expected in ("open", "closed"):
            end_pause_of_breaker(redis_client)
            run_dispatch(max_seconds=1)
            assert breaker.snapshot().state == expected
        assert {one["_id"]: one["attempts"] for one in collections()}[poison] == 0

    def test_a_page_instead_of_an_answer_does_not_use_up_the_queue(
        self, stub: StubService, settings: Any
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = 3
        stub.say(tasks(TASK_NAME), Reply(b"<html>maintenance</html>"))
        for month in MONTHS:
            enqueue(hot(month))
        run_dispatch()
        assert len(stub.posts) == 3
        assert statuses() == ["PENDING"] * 12
        assert {one["attempts"] for one in collections()} == {0}


class TestServiceTakesAndDoesNotAnswer:
    """A service that takes collections and never answers, or fails every one, is down as well."""

    @pytest.fixture(autouse=True)
    def _thresholds(self, settings: Any) -> None:
        settings.CB_FAILURE_THRESHOLD = 3
        settings.CB_SUCCESS_THRESHOLD = 2
        settings.COLLECT_RETRY_DELAY_SECONDS = 1000

    def test_executions_that_fail_in_a_row_open_the_breaker(
        self, service: Simulator, dispatch_now: Callable[[], int], redis_client: redis.Redis
    ) -> None:
        for month in MONTHS:
            enqueue(hot(month))
        service.set_knobs(failure_rate=1.0)
        while dispatch_now():
            pass
        snapshot = breaker.snapshot()
        assert (snapshot.next_probe_seconds > 0, snapshot.reason) == (True, "execution_failed")
        assert [one["attempts"] for one in collections()] == [1] * 3 + [0] * 9

        # The probe fails like the others, but it is not to blame.
        end_pause_of_breaker(redis_client)
        while dispatch_now():
            pass
        assert breaker.snapshot().next_probe_seconds > 0
        assert [one["attempts"] for one in collections()] == [1] * 3 + [0] * 9
        assert collections()[3]["refusals"] == 1

        # An accepted request closes nothing; two answers do.
        service.set_knobs(failure_rate=0.0, drop_rate=1.0)
        end_pause_of_breaker(redis_client)
        assert dispatch_now() == 1
        assert breaker.snapshot().state == "half_open"
        service.set_knobs(drop_rate=0.0)
        make_overdue(next(one for one in collections() if one["status"] == "DISPATCHED"))
        fail_overdue()
        assert breaker.snapshot().reason == "timeout"
        end_pause_of_breaker(redis_client)
        while dispatch_now():
            pass
        assert breaker.snapshot().state == "closed"
        for one in collections(status="PENDING"):  # the pauses of the failed probes are over, too
            change({"_id": one["_id"]}, not_before=utc_now())
        while dispatch_now():
            pass
        assert statuses() == ["SUCCEEDED"] * 12
        assert [one["attempts"] for one in collections()][3:] == [1] * 9

    def test_unanswered_executions_in_a_row_open_the_breaker(self, service: Simulator) -> None:
        service.set_knobs(drop_rate=1.0)
        for month in MONTHS[:4]:
            enqueue(hot(month))
        for _ in range(3):
            assert run_dispatch() == 1
            make_overdue(next(one for one in collections() if one["status"] == "DISPATCHED"))
            fail_overdue()
        assert run_dispatch() == 0
        snapshot = breaker.snapshot()
        assert (snapshot.next_probe_seconds > 0, snapshot.reason) == (True, "timeout")
        assert [one["attempts"] for one in collections()] == [1, 1, 1, 0]

    def test_until_it_is_known_untried_collections_go_first(
        self, service: Simulator, dispatch_now: Callable[[], int], settings: Any
    ) -> None:
        """A retry in between would cost the first collections their last attempt."""
        settings.COLLECT_RETRY_DELAY_SECONDS = 0
        for month in MONTHS[:5]:
            enqueue(hot(month))
        service.set_knobs(failure_rate=1.0)
        while dispatch_now():
            pass
        assert statuses() == ["PENDING"] * 5
        assert [one["attempts"] for one in collections()] == [1, 1, 1, 0, 0]

    @pytest.mark.parametrize("garbage", ["html", "string"])
    def test_an_unreadable_answer_to_a_probe_costs_no_attempt(
        self,
        service: Simulator,
        dispatch_now: Callable[[], int],
        redis_client: redis.Redis,
        settings: Any,
        garbage: str,
    ) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 1
        for number in range(3):
            breaker.record_failed_execution(f"{number:024}", "execution_failed")
        end_pause_of_breaker(redis_client)
        service.set_knobs(garbage_rate=1.0, garbage_kind=garbage)
        enqueue(hot())
        run_dispatch(max_seconds=1)
        assert service.wait_idle(20)
        (probe,) = collections()
        assert (probe["status"], probe["attempts"], probe["refusals"]) == ("PENDING", 0, 1)
        assert breaker.snapshot().next_probe_seconds > 0  # the next one waits, but not for an answer

    def test_a_probe_whose_worker_was_killed_is_put_back_unharmed(
        self, service: Simulator, redis_client: redis.Redis, settings: Any
    ) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 1
        enqueue(hot())
        probe = jobs.claim(slot_count=1, is_probe=True)
        assert probe is not None
        change({"_id": probe["_id"]}, dispatched_at=utc_now() - timedelta(seconds=60))
        assert abandoned.end_claims() == 1
        (found,) = collections()
        assert (found["status"], found["attempts"]) == ("PENDING", 0)

    def test_one_collection_that_always_fails_is_not_the_service(
        self, service: Simulator, collect_all: CollectAll, settings: Any
    ) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 0
        settings.COLLECT_MAX_ATTEMPTS = 5
        enqueue(hot(extra={"_sim": {"failure_rate": 1.0}}))
        assert collect_all() == 5
        assert statuses() == ["FAILED"]
        assert breaker.snapshot().state == "closed"

    def test_an_answer_in_between_starts_the_count_anew(
        self, service: Simulator, collect_all: CollectAll, settings: Any
    ) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 1
        failing = {"_sim": {"failure_rate": 1.0}}
        for number, month in enumerate(MONTHS[:9]):
            enqueue(hot(month, extra={} if number % 3 == 2 else failing))
        assert collect_all() == 9
        assert breaker.snapshot().state == "closed"


class TestOurSideIsDown:
    def test_after_an_outage_of_mongodb_the_next_dispatcher_need_not_wait(
        self, service: Simulator, collect_all: CollectAll, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Lease and turn are free again at once, though they would last for seconds."""
        enqueue(hot("202501"))
        collect_all()
        settings.COLLECT_INTERVAL_SECONDS = 3600
        enqueue(hot("202502"))

        def fail(**_arguments: Any) -> None:
            raise ServerSelectionTimeoutError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(jobs, "claim", fail)
            with pytest.raises(ServerSelectionTimeoutError):
                run_dispatch()
        assert run_dispatch() == 1

    def test_without_redis_nothing_is_sent(self, service: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        enqueue(hot())

        def refuse() -> redis.Redis:
            raise redis.ConnectionError("down")

        monkeypatch.setattr(dispatcher, "get_redis", refuse)
        with pytest.raises(redis.RedisError):
            run_dispatch()
        assert statuses() == ["PENDING"]
        assert service.stats()["total_requests"] == 0

    def test_what_the_service_accepted_while_redis_went_away_is_noted(
        self, stub: StubService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Forgotten, it would be asked and paid for again."""
        stub.say(tasks(TASK_NAME), accepted("x1"))
        enqueue(hot())
        send = CollectionServiceClient._send

        def refuse(*_arguments: Any, **_options: Any) -> None:
            raise redis.ConnectionError("down")

        def send_and_lose_redis(client: Any, method: str, *arguments: Any, **options: Any) -> Any:
            answer = send(client, method, *arguments, **options)
            if method == "POST":
                monkeypatch.setattr(redis.Redis, "evalsha", refuse)  # so the turn cannot be ended
                monkeypatch.setattr("apps.core.storage.redis.get_redis", refuse)
            return answer

        monkeypatch.setattr(CollectionServiceClient, "_send", send_and_lose_redis)
        assert run_dispatch() == 1
        (collection,) = collections()
        assert (collection["status"], collection["execution_id"]) == ("DISPATCHED", "x1")
