"""Webhooks of our executions with a wrong signature: the likely cause is named, and no stranger can do it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from rest_framework.test import APIClient
from structlog.testing import capture_logs

from apps.admin.alerts import evaluation
from apps.mengla.ingest import refused_signatures
from apps.mengla.monitoring.diagnose_checks import CheckFailed, check_signature
from apps.mengla.queue import jobs
from apps.mengla.upstream.signature import sign
from tests.mengla.support import Document, begin_attempt, hot
from tests.silence import no_mongo

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
PATH = "/api/webhook/mengla-notify"
SECRET, OTHER = "a-webhook-secret", "another-secret"
RULE = "wrong_signatures"
HEARTBEAT = {"executionId": "x1", "status": "running"}


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.WEBHOOK_SECRET = SECRET


def call(api: APIClient, *, secret: str = OTHER, body: Document | None = None, **origin: str) -> int:
    raw = json.dumps(HEARTBEAT if body is None else body).encode()
    headers = {"X-Signature-256": sign(raw, secret)}
    response = api.generic(
        "POST", f"{PATH}?{urlencode(origin)}", raw, content_type="application/json", headers=headers
    )
    return int(response.status_code)


def origin_of(attempt: Document) -> dict[str, str]:
    return {"collection": str(attempt["_id"]), "token": attempt["attempt_token"]}


def events_of(lines: Any) -> list[Document]:
    return [line for line in lines if line["event"] == "webhook_signatures_refused"]


@pytest.mark.parametrize("is_named_by", ["token", "execution"])
def test_the_cause_is_named_in_log_diagnosis_and_alert_until_a_signature_is_valid(
    api: APIClient, is_named_by: str
) -> None:
    attempt = begin_attempt(hot())
    jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
    origin = origin_of(attempt) if is_named_by == "token" else {}
    with capture_logs() as lines:
        assert [call(api, **origin) for _ in range(2)] == [403, 403]
        assert check_signature() == "no wrong signatures"
        assert RULE not in evaluation.check().fired
        assert [call(api, **origin) for _ in range(4)] == [403] * 4
    (event,) = events_of(lines)
    assert "WEBHOOK_SECRET" in event["cause"]
    assert not any(secret in str(lines) for secret in (SECRET, OTHER, attempt["attempt_token"]))
    with pytest.raises(CheckFailed, match="6 webhooks for known executions") as caught:
        check_signature()
    assert "WEBHOOK_SECRET" in caught.value.advice
    assert RULE in evaluation.check().fired
    assert call(api, secret=SECRET, **origin) == 200
    assert check_signature() == "no wrong signatures"
    assert RULE in evaluation.check().resolved
    with capture_logs() as lines:  # not again within the hour
        assert [call(api, **origin) for _ in range(5)] == [403] * 5
    assert events_of(lines) == []
    assert RULE in evaluation.check().fired


def test_without_refusals_for_an_hour_it_ends(api: APIClient, redis_client: redis.Redis) -> None:
    attempt = begin_attempt(hot())
    for _ in range(3):
        call(api, **origin_of(attempt))
    (key,) = redis_client.keys("mengla:refused_signatures")
    assert 3590 < redis_client.ttl(key) <= 3600
    redis_client.delete(key)
    assert check_signature() == "no wrong signatures"


def test_no_stranger_can_raise_it(api: APIClient) -> None:
    attempt, other = begin_attempt(hot("202501")), begin_attempt(hot("202502"))
    strange: list[dict[str, str]] = [
        {},
        {"collection": str(attempt["_id"])},
        {"token": attempt["attempt_token"]},
        origin_of(attempt) | {"token": other["attempt_token"]},
        origin_of(attempt) | {"token": "x" * 32},
        origin_of(attempt) | {"token": "ф" * 32},
        origin_of(attempt) | {"collection": "0" * 24},
        origin_of(attempt) | {"collection": "\x00" * 12},
    ]
    for origin in strange:
        for body in (HEARTBEAT, {}, {"executionId": {"$ne": ""}}, {"executionId": ""}):
            assert call(api, body=body, **origin) == 403
    assert refused_signatures.count_refused() == 0


def test_noise_costs_mongodb_little(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    find = refused_signatures.selectors.find_collection_by_execution
    monkeypatch.setattr(
        refused_signatures.selectors,
        "find_collection_by_execution",
        lambda execution_id: looked_up.append(execution_id) or find(execution_id),
    )
    monkeypatch.setattr(refused_signatures, "LOOKUPS_SECONDS", 10**9)
    for _ in range(refused_signatures.MAX_LOOKUPS + 5):
        call(api)
    assert len(looked_up) == refused_signatures.MAX_LOOKUPS


def test_a_server_that_is_down_changes_no_refusal(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = begin_attempt(hot())
    monkeypatch.setattr(refused_signatures.selectors, "find_collection", no_mongo)
    assert call(api, **origin_of(attempt)) == 403
    assert refused_signatures.count_refused() == 0


def test_without_a_secret_the_diagnosis_says_so(settings: Any) -> None:
    settings.WEBHOOK_SECRET = ""
    assert check_signature() == "no WEBHOOK_SECRET: tokens are checked"
