"""The simulator speaks the collection service's protocol over real HTTP and counts what it was asked."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from apps.mengla.simulator import stats
from apps.mengla.simulator.query import parse_parameters
from apps.mengla.upstream.signature import SIMULATOR_HEADER, is_valid
from tests.mengla.simulator.support import JUNE, SECRET, TASK_ID, TREND, Asker, Receiver


def test_task_list_names_ours_exactly_among_others_and_pages(ask: Asker) -> None:
    tasks = ask.http.get("/api/managed-tasks?page=1&limit=100").json()["data"]["tasks"]
    assert [task["id"] for task in tasks if task["name"] == "萌啦数据采集"] == [TASK_ID]
    assert len(tasks) == 3
    ask.simulator.set_knobs(decoy_tasks=150, task_id="made-anew")
    first = ask.http.get("/api/managed-tasks?page=1&limit=100").json()["data"]["tasks"]
    second = ask.http.get("/api/managed-tasks?page=2&limit=100").json()["data"]["tasks"]
    assert (len(first), second[-1]["id"]) == (100, "made-anew")
    assert ask.simulator.stats()["task_list_requests"] == 3
    assert ask.post().status_code == 404
    for query in ("page=0", "limit=x", "page=-1", "limit=99999", "page=²"):
        assert ask.http.get(f"/api/managed-tasks?{query}").status_code == 400


def test_result_comes_signed_to_the_probed_webhook_with_its_query(ask: Asker, receiver: Receiver) -> None:
    execution_id = ask.execute()
    assert ask.simulator.wait_idle(10)
    probe, result = receiver.calls
    assert (probe.method, result.method) == ("GET", "POST")
    assert probe.path == result.path == "/hook?collection=c1&attempt=t1"
    assert is_valid(result.body, result.headers["x-signature-256"], SECRET)
    assert result.headers[SIMULATOR_HEADER.lower()] == "1"
    body = result.json
    assert body["executionId"] == execution_id
    assert body["simulated"] is True
    assert 20 <= len(body["resultData"]["hotList"]["data"]["list"]) <= 50
    assert ask.simulator.stats()["webhooks"] | {} == {
        "delivered": 1,
        "failed": 0,
        "duplicated": 0,
        "dropped": 0,
        "heartbeats": 0,
        "probes": 1,
        "probes_failed": 0,
        "retries": 0,
    }


@pytest.mark.parametrize("header", [None, "", "Bearer wrong", "key", "Bearer kéy", "Basic key"])
def test_without_the_key_nothing_is_told_or_done(ask: Asker, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    body = {"parameters": ask.parameters(), "webhookUrl": ask.receiver.url}
    with httpx.Client(base_url=ask.simulator.url) as stranger:
        listed = stranger.get("/api/managed-tasks", headers=headers)
        executed = stranger.post(f"/api/managed-tasks/{TASK_ID}/execute", json=body, headers=headers)
    assert (listed.status_code, executed.status_code) == (401, 401)
    counted = ask.simulator.stats()
    assert (counted["unauthorized_requests"], counted["executions"]) == (2, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"module": "nonsense"}, "module"),
        ({"module": None}, "module"),
        ({"dateType": "QUARTER"}, "dateType"),
        ({"dateType": "month"}, "dateType"),
        ({"timest": "202506"}, "timest"),
        ({"timest": "2025-13"}, "timest"),
        ({"timest": "2025-06-01"}, "timest"),
        ({"timest": 202506}, "timest"),
        ({"endRange": "2025-06-31"}, "endRange"),
        ({"starRange": "2025-06"}, "starRange"),
        ({"starRange": ["2025-06-01"]}, "starRange"),
        ({"catId": {"$ne": 1}}, "catId"),
        ({"catId": "1 OR 1"}, "catId"),
        ({"catId": True}, "catId"),
        ({"product_id": [1]}, "product_id"),
        ({**TREND, "starRange": "2025-07"}, "starRange"),
        ({**TREND, "timest": "2025-05"}, "endRange"),
        ({**TREND, "starRange": "2025-01-01"}, "starRange"),
        ({**TREND, "dateType": "DAY"}, "timest"),
        ({"module": "industryViewV2", "dateType": "QUARTERLY_FOR_YEAR", **JUNE}, "timest"),
        (
            {
                "module": "industryViewV2",
                "dateType": "QUARTERLY_FOR_YEAR",
                "timest": "2025-Q2",
                "starRange": "2025-04-01",
                "endRange": "2025-06-30",
            },
            "starRange",
        ),
        ({"_sim": {"concurrency": 5}}, "_sim"),
        ({"_sim": {"delay_seconds": float(10**9)}}, "_sim"),
        ({"_sim": "fast"}, "_sim"),
    ],
)
def test_parameters_the_service_does_not_take_are_refused(
    ask: Asker, changes: dict[str, Any], reason: str
) -> None:
    answer = ask.post(**changes)
    assert answer.status_code == 400
    counted = ask.simulator.stats()
    assert counted["invalid_reasons"] == {reason: 1}
    assert (counted["invalid_requests"], counted["executions"], counted["keys"]) == (1, 0, {})


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "hook",
        "ftp://127.0.0.1/",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://h/\r\nX-Evil: 1",
        "http://[",
        "http://127.0.0.1/" + "a" * 5000,
    ],
)
def test_webhook_url_must_be_callable(ask: Asker, url: object) -> None:
    body = {"parameters": ask.parameters(), "webhookUrl": url}
    assert ask.http.post(f"/api/managed-tasks/{TASK_ID}/execute", json=body).status_code == 400
    assert ask.simulator.stats()["invalid_reasons"] == {"webhookUrl": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"parameters": NaN}',
        b'{"parameters": {"module": "\\ud800"}}',
        b"[" * 100_000,
        b'{"parameters": []}',
        b'{"parameters": ' + b"9" * 5000 + b"}",
        b'{"parameters": {"module": ["hot"]}}',
    ],
)
def test_garbage_bodies_are_told_in_json(ask: Asker, body: bytes) -> None:
    answer = ask.http.post(f"/api/managed-tasks/{TASK_ID}/execute", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "INVALID_REQUEST"
    assert ask.simulator.stats()["invalid_requests"] == 1


def test_every_answer_is_marked_and_no_error_is_html(ask: Asker) -> None:
    execute = f"/api/managed-tasks/{TASK_ID}/execute"
    answers = {
        "about": (ask.http.get("/"), 200),
        "unknown path": (ask.http.get("/api/nothing"), 404),
        "odd path": (ask.http.get("//%00/../x"), 404),
        "method": (ask.http.get(execute), 405),
        "method of list": (ask.http.delete("/api/managed-tasks"), 405),
        "head": (ask.http.head("/stats"), 405),
        "unknown method": (ask.http.request("BREW", "/"), 501),
        "other task": (ask.http.post("/api/managed-tasks/other/execute", json={}), 404),
        "too large": (ask.http.post(execute, content=b"x" * 2_000_000), 413),
        "chunked": (ask.http.post(execute, content=iter([b"{}"])), 411),
    }
    for name, (answer, status) in answers.items():
        assert answer.status_code == status, name
        assert answer.headers[SIMULATOR_HEADER] == "1", name
        assert "<" not in answer.text, name
    assert "SIMULATOR" in answers["about"][0].text
    assert answers["method"][0].headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /knobs HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_broken_http_is_answered_and_harms_no_other_request(ask: Asker, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", ask.simulator.port), 5) as connection:
        connection.sendall(raw)
        assert b'"error"' in connection.makefile("rb").read()
    assert ask.http.get("/stats").status_code == 200


@pytest.mark.parametrize("concurrency", [1, 3])
def test_executions_queue_behind_each_other(ask: Asker, concurrency: int) -> None:
    ask.simulator.set_knobs(concurrency=concurrency, delay_seconds=0.3)
    ids = [ask.execute(catId=str(number)) for number in range(6)]
    assert ask.simulator.wait_idle(10)
    assert {call.json["executionId"] for call in ask.receiver.posts} == set(ids)
    if concurrency == 1:
        assert [call.json["executionId"] for call in ask.receiver.posts] == ids
    counted = ask.simulator.stats()
    assert counted["max_running"] == concurrency
    assert counted["max_concurrent"] > concurrency
    assert counted["outstanding"] == 0


def test_a_caller_that_waits_for_each_result_is_never_counted_twice(ask: Asker) -> None:
    for number in range(20):
        ask.execute(catId=str(number))
        ask.receiver.wait_for_posts(number + 1)
    counted = ask.simulator.stats()
    assert (counted["max_concurrent"], counted["max_concurrent_posts"]) == (1, 1)


def test_stats_count_each_question_under_its_own_key(ask: Asker) -> None:
    for changes in ({}, {}, {"product_id": "p"}, {"color": "red"}, {"catId": ""}, TREND):
        ask.execute(**changes)
    counted = ask.http.get("/stats").json()
    plain, product, extra = (
        "hot:17027494:MONTH:2025-06",
        *(
            parse_parameters(ask.parameters(**changes)).key
            for changes in ({"product_id": "p"}, {"color": "red"})
        ),
    )
    assert counted["keys"] == {
        plain: 2,
        product: 1,
        extra: 1,
        "hot::MONTH:2025-06": 1,
        "industryTrendRange:17027494:MONTH:2025-01~2025-06": 1,
    }
    assert counted["recent_keys"][:3] == [plain, plain, product]
    assert counted["executions"] == counted["execute_requests"] == counted["total_requests"] == 6
    assert ask.simulator.wait_idle(10)
    emptied = ask.http.post("/stats/reset").json()
    assert (emptied["executions"], emptied["keys"], emptied["min_gap_seconds"]) == (0, {}, None)


def test_smallest_gap_is_measured_between_arrivals() -> None:
    counter = stats.Stats()
    for at_seconds in (10.0, 20.0, 18.0, 21.0):  # the third reports late
        counter.post_arrived(at_seconds)
    counted = counter.snapshot()
    assert counted["min_gap_seconds"] == 1.0
    assert counted["max_concurrent_posts"] == 4


def test_keys_are_bounded(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "MAX_KEYS", 2)
    for number in (1, 2, 3, 4, 1):
        ask.execute(catId=str(number))
    counted = ask.simulator.stats()
    assert (len(counted["keys"]), counted["keys_left_out"], counted["executions"]) == (2, 2, 5)
    assert counted["keys"]["hot:1:MONTH:2025-06"] == 2
