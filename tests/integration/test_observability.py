"""Traces of a running installation, read by a real receiver of OTLP."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import run_stack
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import wait_until
from tests.observability.receiver import ObservabilityReceiver, ReceivedSpan
from tests.programs import run_python

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

KEY = "0123456789abcdef0123456789abcdef"  # of Sentry
SPANS_OF_ONE = {"enqueue collection", "dispatch collection", "receive webhook", "store figures"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[ObservabilityReceiver]:
    with ObservabilityReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, receiver: ObservabilityReceiver) -> Iterator[Stack]:
    """One web process and one cluster, whose traces and errors the receiver gets."""
    shape = Shape(
        web_workers=1,
        variables={
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_SERVICE_NAME": "figures",
            "SENTRY_DSN": f"http://{KEY}@{receiver.address}/7",
        },
    )
    yield from run_stack("traced", tmp_path_factory.mktemp("traced"), shape)


def spans_of(receiver: ObservabilityReceiver, collection_id: str) -> dict[str, ReceivedSpan]:
    """The five spans of a collection by name, and ``request`` for the one of the reader."""

    def found() -> dict[str, ReceivedSpan] | None:
        spans = {one.name: one for one in receiver.about(collection_id)}
        return spans if spans.keys() >= SPANS_OF_ONE and len(spans) > len(SPANS_OF_ONE) else None

    spans = wait_until(found, timeout_seconds=20, what="the spans are received")
    (request,) = [one for one in spans.values() if one.kind == "SERVER"]
    return {**spans, "request": request}


def test_one_trace_leads_from_the_reader_to_the_figures(
    traced: Stack, receiver: ObservabilityReceiver
) -> None:
    question = traced.questions.one()
    (collection_id,) = traced.ask_all([question])
    traced.wait_until_ended([collection_id])
    spans = spans_of(receiver, collection_id)
    order = ["request", "enqueue collection", "dispatch collection", "receive webhook", "store figures"]
    chain = [spans[name] for name in order]
    assert len({one.trace_id for one in chain}) == 1
    assert [one.parent_id for one in chain] == ["", *(one.span_id for one in chain[:-1])]
    assert [one.kind for one in chain] == ["SERVER", "PRODUCER", "CLIENT", "CONSUMER", "INTERNAL"]
    assert not any(one.is_failed for one in chain)
    request, enqueue, dispatch, webhook, _ = chain
    assert request.attributes["url.path"] == "/api/mengla/"
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["http.route"] == "/api/mengla"
    assert enqueue.attributes["mengla.data_set"] == question.query.action
    assert dispatch.attributes["mengla.attempt"] == 1
    assert dispatch.attributes["mengla.execution_id"] == traced.collection(collection_id)["execution_id"]
    assert webhook.attributes["mengla.receipt"] == "stored"
    # The call of the service has a trace of its own, which the webhook is linked to.
    (call,) = [one for one in receiver.spans if one.span_id in webhook.links]
    assert call.attributes["url.path"] == "/api/webhook/mengla-notify"
    assert {one.resource["service.name"] for one in chain} == {"figures"}
    assert (
        dispatch.resource["process.pid"] != request.resource["process.pid"] == webhook.resource["process.pid"]
    )


def test_a_client_continues_its_trace_and_joins_that_of_another(
    traced: Stack, receiver: ObservabilityReceiver
) -> None:
    traced.simulator.set_knobs(delay_seconds=1.0)
    question = traced.questions.one()
    (collection_id,) = traced.ask_all([question])
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    with traced.client() as client:
        for traceparent in (f"00-{trace_id}-{span_id}-01", "00-nonsense"):
            answer = client.get(
                "/api/mengla/", params=question.parameters, headers={"traceparent": traceparent}
            )
            assert answer.status_code == 202
    traced.simulator.reset_knobs()
    traced.wait_until_ended([collection_id])
    spans = spans_of(receiver, collection_id)

    def of_client() -> list[ReceivedSpan]:
        return [one for one in receiver.spans if one.trace_id == trace_id]

    (request,) = wait_until(of_client, timeout_seconds=20, what="the trace of the client")
    assert request.parent_id == span_id
    assert spans["dispatch collection"].trace_id != trace_id


def test_the_collections_of_a_run_have_traces_of_their_own(
    traced: Stack, receiver: ObservabilityReceiver
) -> None:
    started = traced.post(
        "/api/admin/backfill", granularity="month", startDate="2025-01", endDate="2025-01", catId=4200
    )
    run_id = started.json()["data"]["sync_task_id"]

    def dispatched() -> list[ReceivedSpan] | None:
        found = [one for one in receiver.spans if one.name == "dispatch collection" and one.links]
        return found if len(found) > 1 else None

    attempts = wait_until(dispatched, timeout_seconds=30, what="collections of the run are dispatched")

    def linked() -> list[ReceivedSpan] | None:
        found = [one for one in receiver.spans if one.attributes.get("mengla.run_id") == run_id]
        return found if all(one.links <= {batch.span_id for batch in found} for one in attempts) else None

    # Each process sends its spans when it likes: those of the attempts may come first.
    batches = wait_until(linked, timeout_seconds=30, what="the batches that the attempts are linked to")
    assert {one.kind for one in batches} == {"PRODUCER"}
    assert not any(one.parent_id for one in attempts)
    assert len({one.trace_id for one in attempts}) == len(attempts)
    wait_until(
        lambda: traced.get(f"/api/sync-tasks/{run_id}").json()["data"]["status"] != "RUNNING",
        timeout_seconds=30,
        what="the run ends",
    )


def test_a_refused_request_is_a_failed_span(traced: Stack, receiver: ObservabilityReceiver) -> None:
    traced.simulator.set_knobs(execute_error_rate=1, execute_status=400)
    (collection_id,) = traced.ask_all([traced.questions.one()])
    traced.wait_until_ended([collection_id])
    traced.simulator.reset_knobs()

    def failed() -> list[ReceivedSpan]:
        return [one for one in receiver.about(collection_id) if one.name == "dispatch collection"]

    (attempt,) = wait_until(failed, timeout_seconds=20, what="the failed attempt")
    assert (attempt.is_failed, attempt.attributes["error.type"]) == (True, "rejected")


def events_of(receiver: ObservabilityReceiver, kind: str) -> list[dict[str, Any]]:
    """The reports whose exception is of this class."""

    def found() -> list[dict[str, Any]]:
        return [
            event
            for event in receiver.events
            for one in event.get("exception", {}).get("values", [])
            if one["type"] == kind
        ]

    return wait_until(found, timeout_seconds=20, what=f"a report of {kind}")


def test_unexpected_errors_of_web_workers_and_commands_are_reported(
    traced: Stack, receiver: ObservabilityReceiver
) -> None:
    broken = traced.database.sync_tasks.insert_one({"status": "COMPLETED"}).inserted_id
    answer = traced.get(f"/api/sync-tasks/{broken}")
    assert answer.status_code == 500
    (event, *_) = [one for one in events_of(receiver, "KeyError") if "request_id" in one["tags"]]
    assert event["tags"]["request_id"] == answer.headers["X-Request-ID"]
    assert (event["environment"], event["release"].startswith("mengla-collector@")) == ("test", True)
    assert "request" not in event and "user" not in event
    traced.database.sync_tasks.delete_one({"_id": broken})

    traced.caller.call("django_q.tasks.async_task", func="apps.core.printable.no_such_task")
    (event, *_) = events_of(receiver, "ValueError")
    assert event["tags"]["task"] == "apps.core.printable.no_such_task"

    channels = "json://ops:a-long-password@127.0.0.1:1/a slack://TokenTokA/TokenTokB/TokenTokenTokenTokenTokC"
    code = (
        "from os import environ as given; raise LookupError(' '.join("
        "[given['MONGO_URI'], given['WEBHOOK_SECRET'], *reversed(given['ALERT_URLS'].split())]))"
    )
    run_python("manage.py", "shell", "-c", code, env={**traced.environment, "ALERT_URLS": channels})
    (event,) = events_of(receiver, "LookupError")
    (error,) = event["exception"]["values"]
    assert error["value"].endswith(" *** *** ***")
    assert not any("vars" in frame for frame in error["stacktrace"]["frames"])


def test_expected_errors_are_not_reported(traced: Stack, receiver: ObservabilityReceiver) -> None:
    before = len(receiver.events)
    assert traced.get("/api/mengla/", action="nothing").status_code == 400
    assert traced.get("/api/nothing").status_code == 404
    traced.simulator.set_knobs(down=True)
    traced.ask_all([traced.questions.one()])
    nowhere = {"MONGO_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"}
    ended = run_python("manage.py", "sync_tasks", "list", env=traced.environment | nowhere)
    assert ended.returncode == 1
    traced.reset()
    code = "import structlog; structlog.get_logger('tests').error('the_last_one')"
    run_python("manage.py", "shell", "-c", code, env=traced.environment)
    wait_until(
        lambda: any(one.get("tags", {}).get("event") == "the_last_one" for one in receiver.events),
        timeout_seconds=20,
        what="the last report",
    )
    assert len(receiver.events) == before + 1


def test_no_secret_reaches_the_receiver(traced: Stack, receiver: ObservabilityReceiver) -> None:
    tokens: list[Any] = traced.database.mengla_collections.distinct("past_tokens")
    assert tokens and receiver.raw
    sent = b"\n".join(receiver.raw)
    assert [one for one in [*traced._secrets, *tokens] if one.encode() in sent] == []


def test_nothing_fails_while_the_receiver_hangs(traced: Stack, receiver: ObservabilityReceiver) -> None:
    receiver.hang()
    question = traced.questions.one()
    traced.collect(question)
    assert traced.ask(question).status_code == 200
    traced.reset()
