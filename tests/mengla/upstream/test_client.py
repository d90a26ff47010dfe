"""The client of the collection service, over real HTTP: what it sends, and how it takes every answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import redis

from apps.mengla.choices import CollectionError
from apps.mengla.upstream import breaker
from apps.mengla.upstream.client import CollectionServiceClient
from apps.mengla.upstream.errors import Fault, UpstreamError
from tests.mengla.stub_service import TASK_NAME, Reply, StubService, accepted, tasks
from tests.parallel import own_port

pytestmark = pytest.mark.redis
HOOK = "http://hook/x?collection=c&token=t"


@pytest.fixture
def client(stub: StubService) -> Iterator[CollectionServiceClient]:
    with CollectionServiceClient() as client:
        yield client


def execute(client: CollectionServiceClient) -> str:
    return client.execute(managed_task_id="t7", parameters={"module": "hot"}, webhook_url=HOOK)


def with_bom(reply: Reply) -> Reply:
    return replace(reply, body=b"\xef\xbb\xbf" + json.dumps(reply.body).encode())


def failure_of(client: CollectionServiceClient, step: Any = execute) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        step(client)
    return caught.value


class TestRequests:
    def test_an_execution_is_asked_for_as_the_protocol_wants_it(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        stub.say(accepted("x1"))
        assert execute(client) == "x1"
        (asked,) = stub.asked
        assert (asked.method, asked.path) == ("POST", "/api/managed-tasks/t7/execute")
        assert asked.headers["Authorization"] == f"Bearer {settings.COLLECT_SERVICE_API_KEY}"
        assert asked.json == {"parameters": {"module": "hot"}, "webhookUrl": HOOK}

    def test_a_base_address_with_a_path(self, stub: StubService, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = f"{stub.url}/v1"
        stub.say(accepted())
        with CollectionServiceClient() as client:
            execute(client)
        assert stub.asked[0].path == "/v1/api/managed-tasks/t7/execute"

    def test_an_odd_task_id_stays_one_part_of_the_path(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(accepted())
        client.execute(managed_task_id="a/../b?c", parameters={}, webhook_url=HOOK)
        assert stub.asked[0].path == "/api/managed-tasks/a%2F..%2Fb%3Fc/execute"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"data": {"executionId": "x1"}}, "x1"),
            ({"data": {"execution_id": "x2"}}, "x2"),
            ({"executionId": "x3"}, "x3"),
            ({"data": {"executionId": 42}}, "42"),
            ({"data": {"executionId": "x" * 500}}, "x" * 128),
            ({"data": {"executionId": " x4 \n"}}, "x4"),
            ({"data": {"executionId": "  "}, "executionId": "x5"}, "x5"),
        ],
    )
    def test_the_execution_id_is_found(
        self, client: CollectionServiceClient, stub: StubService, body: Any, expected: str
    ) -> None:
        stub.say(Reply(body))
        assert execute(client) == expected


class TestTaskId:
    def test_is_found_by_name_and_remembered(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        assert client.known_managed_task_id() is None
        stub.say(tasks("other", f"{TASK_NAME} (1)", TASK_NAME))
        assert client.look_up_managed_task_id() == "t2"
        assert client.known_managed_task_id() == "t2"
        assert stub.asked[0].path == "/api/managed-tasks?page=1&limit=100"

    def test_may_be_on_a_later_page(self, client: CollectionServiceClient, stub: StubService) -> None:
        stub.say(tasks(*["other"] * 100), tasks("other", TASK_NAME))
        assert client.look_up_managed_task_id() == "t1"
        assert [asked.path.split("?")[1] for asked in stub.asked] == ["page=1&limit=100", "page=2&limit=100"]

    @pytest.mark.parametrize("total", [None, 25, 5, []])
    @pytest.mark.parametrize("page_size", [1, 20, 25])
    def test_is_found_whatever_page_size_and_total_the_service_tells(
        self, client: CollectionServiceClient, stub: StubService, page_size: int, total: Any
    ) -> None:
        listed = [{"id": f"t{n}", "name": f"other {n}"} for n in range(1, 25)]
        listed.append({"id": "t25", "name": TASK_NAME})
        pages = [listed[start : start + page_size] for start in range(0, 25, page_size)]
        reported = {} if total is None else {"total": total}
        stub.say(*(Reply({"data": {"tasks": page, **reported}}) for page in pages))
        assert client.look_up_managed_task_id() == "t25"
        assert len(stub.asked) == len(pages)

    @pytest.mark.parametrize(
        ("pages", "requests"),
        [
            ([Reply({"data": {"tasks": [], "total": 0}})], 1),
            ([tasks("a", "b", total=2), tasks()], 2),
            ([tasks("a", "b")], 2),  # it ignores the page, and sends the same one again and again
            ([tasks("a", "b"), Reply({}, 404)], 2),  # a page after the last one is refused
            ([tasks("a", "b"), Reply({}, 400)], 2),
        ],
    )
    def test_an_unknown_name_is_looked_for_on_every_page_and_no_longer(
        self, client: CollectionServiceClient, stub: StubService, pages: list[Reply], requests: int
    ) -> None:
        stub.say(*pages)
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert error.error is CollectionError.UNKNOWN_TASK
        assert len(stub.asked) == requests
        assert breaker.snapshot().reason is CollectionError.UNKNOWN_TASK

    def test_an_endless_list_is_not_read_for_ever(
        self, client: CollectionServiceClient, stub: StubService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.mengla.upstream.client._MAX_PAGES", 3)
        stub.say(*(Reply({"data": {"tasks": [{"id": f"t{n}", "name": "other"}]}}) for n in range(9)))
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert (error.error, len(stub.asked)) == (CollectionError.UNKNOWN_TASK, 3)

    def test_a_failure_on_a_later_page_is_a_failure(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(tasks("a", "b"), Reply({}, 503))
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert error.error is CollectionError.SERVICE_ERROR

    def test_a_byte_order_mark_before_any_reply_is_ignored(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(with_bom(tasks(TASK_NAME)), with_bom(accepted("x1")))
        assert client.look_up_managed_task_id() == "t0"
        assert execute(client) == "x1"
        stub.say(with_bom(Reply({"error": "no such category"}, 400)))
        assert "no such category" in failure_of(client).message

    def test_a_long_execution_id_is_the_same_as_in_the_webhook(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(Reply(b'{"data": {"executionId": 18446744073709551617}}'))
        assert execute(client) == "18446744073709551617"

    def test_is_remembered_for_this_service_and_name_only(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        stub.say(tasks(TASK_NAME))
        client.look_up_managed_task_id()
        settings.COLLECT_TASK_NAME = "another"
        assert client.known_managed_task_id() is None

    @pytest.mark.parametrize("reply", [tasks(), tasks("other"), Reply({"data": {"tasks": [None, 5, {}]}})])
    def test_an_unknown_name_opens_the_breaker(
        self, client: CollectionServiceClient, stub: StubService, reply: Reply
    ) -> None:
        stub.say(reply)
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert (error.error, error.fault) == (CollectionError.UNKNOWN_TASK, Fault.REFUSAL)
        assert TASK_NAME in error.message
        assert breaker.snapshot().reason is CollectionError.UNKNOWN_TASK

    def test_one_the_service_does_not_know_is_forgotten(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(tasks(TASK_NAME), Reply({}, 404), tasks("other", TASK_NAME))
        client.look_up_managed_task_id()
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.UNKNOWN_TASK, Fault.UNKNOWN_ID)
        assert len(stub.asked) == 2
        assert client.known_managed_task_id() is None
        assert client.look_up_managed_task_id() == "t1"
        assert breaker.snapshot().state == "closed"

    def test_one_that_is_listed_but_not_known_opens_the_breaker(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(tasks(*["other"] * 7, TASK_NAME), Reply({}, 404), tasks(*["other"] * 7, TASK_NAME))
        assert client.look_up_managed_task_id() == "t7"
        failure_of(client)
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert (error.error, error.fault) == (CollectionError.UNKNOWN_TASK, Fault.REFUSAL)
        assert breaker.snapshot().next_probe_seconds > 0
        assert client.known_managed_task_id() == "t7"  # the next probe tries it again


class TestFailures:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
    def test_a_server_error_may_pass(
        self, client: CollectionServiceClient, stub: StubService, status: int
    ) -> None:
        stub.say(Reply({"message": "backend gone"}, status))
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.SERVICE_ERROR, Fault.OUTAGE)
        assert str(status) in error.message and "backend gone" in error.message
        assert breaker.snapshot().failures == 1

    @pytest.mark.parametrize(
        ("status", "expected", "fault"),
        [
            *((status, CollectionError.REJECTED, Fault.COLLECTION) for status in (400, 409, 413, 422)),
            *((status, CollectionError.UNAUTHORIZED, Fault.REFUSAL) for status in (401, 402, 403, 407)),
            *((status, CollectionError.SERVICE_ERROR, Fault.OUTAGE) for status in (301, 302, 405, 408, 425)),
        ],
    )
    def test_a_rejection_says_whose_fault_it_is(
        self,
        client: CollectionServiceClient,
        stub: StubService,
        status: int,
        expected: CollectionError,
        fault: Fault,
    ) -> None:
        stub.say(Reply({"error": {"message": "dateType is wrong"}}, status))
        error = failure_of(client)
        assert (error.error, error.fault) == (expected, fault)
        assert "dateType is wrong" in error.message
        assert breaker.snapshot().failures == (fault is Fault.OUTAGE)
        assert (breaker.snapshot().next_probe_seconds > 0) == (fault is Fault.REFUSAL)

    @pytest.mark.parametrize("status", [400, 404, 422])
    def test_a_list_of_tasks_that_is_rejected_is_an_outage(
        self, client: CollectionServiceClient, stub: StubService, status: int
    ) -> None:
        stub.say(Reply({}, status))
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert (error.error, error.fault) == (CollectionError.SERVICE_ERROR, Fault.OUTAGE)
        assert breaker.snapshot().failures == 1

    @pytest.mark.parametrize(
        ("value", "low", "high"),
        [
            ("30", 30, 30),
            (None, None, None),
            ("soon", None, None),
            ("-5", None, None),
            ("999999", 3600, 3600),
        ],
    )
    def test_too_many_requests_says_when_to_come_again(
        self, client: CollectionServiceClient, stub: StubService, value: str | None, low: Any, high: Any
    ) -> None:
        stub.say(Reply({}, 429, {"Retry-After": value} if value else {}))
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.RATE_LIMITED, Fault.SLOWDOWN)
        assert error.retry_after_seconds == low == high
        assert breaker.snapshot().failures == 0

    def test_the_time_to_come_again_may_be_a_date(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        instant = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
        stub.say(Reply({}, 429, {"Retry-After": instant}))
        assert 115 < (failure_of(client).retry_after_seconds or 0) <= 120

    @pytest.mark.parametrize(
        "body",
        [
            b"<html><h1>Maintenance</h1></html>",
            b"",
            b"\xff\xfe",
            [],
            None,
            {},
            "text",
            {"data": None},
            {"data": {"executionId": None}},
            {"data": {"executionId": True}},
            {"data": {"executionId": {"id": 1}}},
            {"success": False, "message": "no"},
        ],
    )
    def test_a_success_that_is_none_is_an_outage(
        self, client: CollectionServiceClient, stub: StubService, body: Any
    ) -> None:
        """A page of a proxy must not use up the attempts of the whole queue: the breaker stops that."""
        stub.say(Reply(body if body is not None else b"null"))
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.SERVICE_ERROR, Fault.OUTAGE)
        assert breaker.snapshot().failures == 1

    @pytest.mark.parametrize("body", [b"<html></html>", [], {"data": []}, {"data": {"tasks": None}}])
    def test_the_same_for_the_list_of_tasks(
        self, client: CollectionServiceClient, stub: StubService, body: Any
    ) -> None:
        stub.say(Reply(body))
        error = failure_of(client, CollectionServiceClient.look_up_managed_task_id)
        assert (error.error, error.fault) == (CollectionError.SERVICE_ERROR, Fault.OUTAGE)

    def test_a_connection_that_breaks(self, client: CollectionServiceClient, stub: StubService) -> None:
        stub.say(Reply(None))
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.CONNECT_ERROR, Fault.OUTAGE)

    def test_no_server_listens(self, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = f"http://127.0.0.1:{own_port()}"
        with CollectionServiceClient() as client:
            assert failure_of(client).error is CollectionError.CONNECT_ERROR
        assert breaker.snapshot().failures == 1

    def test_it_hangs(self, settings: Any) -> None:
        settings.COLLECT_REQUEST_TIMEOUT_SECONDS = 0.1
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings.COLLECT_SERVICE_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with CollectionServiceClient() as client:
                error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.TIMEOUT, Fault.OUTAGE)

    def test_a_success_after_failures_is_told_to_the_breaker(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(Reply({}, 500), Reply({}, 500), accepted())
        failure_of(client)
        failure_of(client)
        execute(client)
        assert breaker.snapshot().failures == 0

    def test_a_simulator_is_refused_in_production(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, ENV="production")
        stub.say(replace(accepted(), headers={"X-MengLa-Simulator": "1"}))
        error = failure_of(client)
        assert (error.error, error.fault) == (CollectionError.REJECTED, Fault.REFUSAL)
        assert "simulator" in error.message
        assert breaker.snapshot().next_probe_seconds > 0

    def test_no_error_tells_the_key(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        stub.say(Reply({}, 401))
        assert settings.COLLECT_SERVICE_API_KEY not in failure_of(client).message


class TestTurns:
    def test_a_request_uses_the_turn_that_was_taken(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        settings.COLLECT_INTERVAL_SECONDS = 0
        stub.say(accepted())
        assert client.claim_turn() == 0
        with CollectionServiceClient() as other:
            assert other.claim_turn() > 0
            execute(client)
            assert other.claim_turn() == 0

    def test_a_turn_that_was_not_used_is_given_back(self, stub: StubService) -> None:
        with CollectionServiceClient() as client:
            client.claim_turn()
        with CollectionServiceClient() as client:
            client.claim_turn()
            client.release_turn()
            assert client.claim_turn() == 0

    def test_a_failed_request_ends_its_turn_too(
        self, client: CollectionServiceClient, stub: StubService, settings: Any
    ) -> None:
        settings.COLLECT_INTERVAL_SECONDS = 30
        stub.say(Reply(None))
        failure_of(client)
        with CollectionServiceClient() as other:
            assert 25 < other.claim_turn() <= 30

    def test_when_the_service_wants_a_pause_no_request_is_sent_meanwhile(
        self, client: CollectionServiceClient, stub: StubService
    ) -> None:
        stub.say(Reply({}, 429, {"Retry-After": "60"}))
        failure_of(client)
        with CollectionServiceClient() as other:
            assert 55 < other.claim_turn() <= 60

    def test_without_redis_nothing_is_sent(
        self, client: CollectionServiceClient, stub: StubService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: Any, **_options: Any) -> None:
            raise redis.ConnectionError("down")

        monkeypatch.setattr(redis.Redis, "execute_command", refuse)
        with pytest.raises(redis.RedisError):
            execute(client)
        assert stub.asked == []

    def test_what_was_accepted_is_not_lost_when_redis_goes_away_meanwhile(
        self, client: CollectionServiceClient, stub: StubService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub.say(accepted("x1"))
        client.claim_turn()

        def refuse(*_arguments: Any, **_options: Any) -> None:
            raise redis.ConnectionError("down")

        monkeypatch.setattr(redis.Redis, "execute_command", refuse)
        assert execute(client) == "x1"


def test_clients_at_once_keep_the_interval(service: Any, settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 0.05

    def look_up_and_ask() -> None:
        with CollectionServiceClient() as client:
            for _ in range(3):
                with pytest.raises(UpstreamError):
                    client.execute(managed_task_id=service.knobs.task_id, parameters={}, webhook_url=HOOK)

    threads = [threading.Thread(target=look_up_and_ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = service.stats()
    assert stats["execute_requests"] == 12
    assert stats["min_gap_seconds"] >= 0.05
    assert stats["max_concurrent_posts"] == 1
