"""The dispatcher when the service refuses, breaks or is down, and when MongoDB or Redis is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from pymongo.errors import ServerSelectionTimeoutError

from apps.mengla.dispatch import dispatcher
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.queue import jobs
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker
from apps.mengla.upstream.client import CollectionServiceClient
from tests.mengla.stub_service import TASK_NAME, Reply, StubService, accepted, tasks
from tests.mengla.support import change, collections, enqueue, hot, statuses
from tests.parallel import own_port

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
CollectAll = Callable[[], int]
MONTHS = [f"2025{number:02}" for number in range(1, 13)]


def refusing(status: int) -> dict[str, Any]:
    """Parameters that make the simulator refuse this one request."""
    return {"_sim": {"execute_error_rate": 1.0, "execute_status": status}}


class TestRefusals:
    def test_a_server_error_is_retried_then_given_up_and_the_rest_goes_on(
        self, service: Simulator, collect_all: CollectAll
    ) -> None:
        enqueue(hot("202501", extra=refusing(500)))
        enqueue(hot("202502"))
        assert collect_all() == 3
        failed, succeeded = collections()
        assert (failed["status"], failed["attempts"], failed["error_code"]) == ("FAILED", 2, "service_error")
        assert "500" in failed["error_message"]
        assert succeeded["status"] == "SUCCEEDED"

    @pytest.mark.parametrize("status", [400, 403, 422])
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
        assert breaker.snapshot().is_unavailable
        service.set_knobs(down=False)
        redis_client.hset(breaker.KEY, "opened_at", "0")  # a minute has passed
        for month in MONTHS[1:5]:
            enqueue(hot(month, extra=refusing(400)))
        enqueue(hot("202512"))
        collect_all()
        assert statuses()[1:] == ["FAILED"] * 4 + ["SUCCEEDED"]
        assert breaker.snapshot().state == "closed"

    def test_too_many_requests_makes_everybody_wait(self, service: Simulator) -> None:
        service.set_knobs(execute_error_rate=1.0, execute_status=429, retry_after_seconds=60)
        enqueue(hot("202501"))
        enqueue(hot("202502"))
        assert run_dispatch() == 1
        assert run_dispatch() == 0
        assert statuses() == ["PENDING", "PENDING"]
        waiting = collections()[0]
        assert (waiting["error_code"], waiting["attempts"]) == ("rate_limited", 1)
        assert (waiting["not_before"] - waiting["updated_at"]).total_seconds() == 60
        assert service.stats()["execute_requests"] == 1

    def test_an_unknown_task_fails_the_next_collection_and_says_its_name(self, stub: StubService) -> None:
        stub.say(tasks("another"), tasks("another"), tasks(TASK_NAME), accepted())
        for month in MONTHS[:3]:
            enqueue(hot(month))
        run_dispatch()
        assert statuses() == ["FAILED", "FAILED", "DISPATCHED"]
        failed = collections()[0]
        assert (failed["error_code"], failed["attempts"]) == ("unknown_task", 1)
        assert TASK_NAME in failed["error_message"]

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

    def test_a_task_that_is_found_and_is_not_there_is_permanent(self, stub: StubService) -> None:
        stub.say(tasks(TASK_NAME), Reply({}, 404), tasks(TASK_NAME), Reply({}, 404))
        enqueue(hot())
        run_dispatch()
        (collection,) = collections()
        assert (collection["status"], collection["attempts"]) == ("FAILED", 1)
        assert collection["error_code"] == "unknown_task"
        assert len(stub.asked) == 4

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
        assert breaker.snapshot().is_unavailable
        assert statuses().count("PENDING") >= 10
        before = collections()
        assert run_dispatch() == 0
        assert collections() == before

    def test_it_goes_on_when_the_service_is_back(
        self, service: Simulator, collect_all: CollectAll, settings: Any, redis_client: redis.Redis
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = 1
        enqueue(hot())
        service.set_knobs(down=True)
        run_dispatch()
        service.set_knobs(down=False)
        assert breaker.snapshot().is_unavailable
        assert run_dispatch() == 0
        redis_client.hset(breaker.KEY, "opened_at", "0")  # a minute has passed
        collect_all()
        assert statuses() == ["SUCCEEDED"]

    def test_a_page_instead_of_an_answer_does_not_use_up_the_queue(
        self, stub: StubService, settings: Any
    ) -> None:
        settings.CB_FAILURE_THRESHOLD = 3
        stub.say(tasks(TASK_NAME), Reply(b"<html>maintenance</html>"))
        for month in MONTHS:
            enqueue(hot(month))
        run_dispatch()
        assert len(stub.posts) == 3
        assert statuses().count("PENDING") >= 10


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
