"""The webhook address: who may call it, what it takes, and that nothing makes it fail."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import DatabaseError
from django.http import HttpResponse
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError
from rest_framework.test import APIClient

from apps.core.storage.outages import mongo_outage
from apps.mengla.ingest import parked, receive
from apps.mengla.ingest.receive import receive_deferred
from apps.mengla.upstream.signature import sign
from tests.mengla.support import (
    Document,
    begin_attempt,
    body_for,
    collections,
    hot,
    ranking,
    records,
    reload,
)
from tests.silence import no_mongo

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
PATH = "/api/webhook/mengla-notify"
SECRET = "a-webhook-secret"
LIMIT_BYTES = 2000


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.WEBHOOK_SECRET = SECRET


def raw_of(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def address(attempt: Document | None = None, **parameters: str) -> str:
    if attempt is not None:
        parameters = {"collection": str(attempt["_id"]), "token": attempt["attempt_token"], **parameters}
    return f"{PATH}?{urlencode(parameters)}" if parameters else PATH


def call(
    api: APIClient, body: Any, attempt: Document | None = None, *, signature: str | None = None, **extra: Any
) -> HttpResponse:
    raw = raw_of(body)
    header = sign(raw, SECRET) if signature is None else signature
    response: HttpResponse = api.generic(
        "POST",
        address(attempt),
        raw,
        content_type=extra.pop("content_type", "application/json"),
        headers={"X-Signature-256": header} if header else {},
        **extra,
    )
    return response


def status_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    status: str = response.json()["data"]["status"]
    return status


class TestAccess:
    def test_the_probe_is_open(self, api: APIClient) -> None:
        assert status_of(api.get(PATH)) == "ready"

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_other_methods_are_not(self, api: APIClient, method: str) -> None:
        response = getattr(api, method)(PATH)
        assert (response.status_code, response.json()["error"]) == (405, "METHOD_NOT_ALLOWED")

    def test_a_signed_answer_is_taken(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, body_for(attempt, ranking("a")), attempt)) == "stored"
        assert reload(attempt)["status"] == "SUCCEEDED"

    @pytest.mark.parametrize("content_type", ["application/json", "text/html", "", "nonsense"])
    def test_whatever_it_calls_itself(self, api: APIClient, content_type: str) -> None:
        attempt = begin_attempt(hot())
        response = call(api, body_for(attempt, ranking("a")), attempt, content_type=content_type)
        assert status_of(response) == "stored"

    @pytest.mark.parametrize(
        "signature",
        [
            "",
            "sha256=",
            "sha256=" + "0" * 64,
            "sha1=" + "0" * 64,
            "0" * 64,
            "sha256=" + "g" * 64,
            "sha256=" + "ф" * 64,
            "é",
            "sha256=" + "0" * 10_000,
        ],
    )
    def test_a_forged_one_is_refused(self, api: APIClient, signature: str) -> None:
        attempt = begin_attempt(hot())
        response = call(api, body_for(attempt, ranking("forged")), attempt, signature=signature)
        assert (response.status_code, response.json()["error"]) == (403, "PERMISSION_DENIED")
        assert reload(attempt) == attempt
        assert records() == {}

    def test_a_signature_is_of_these_bytes_only(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        body = body_for(attempt, ranking("a"))
        signature = sign(raw_of(body) + b" ", SECRET)
        assert call(api, body, attempt, signature=signature).status_code == 403

    def test_the_token_does_not_replace_the_signature(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        response = api.generic("POST", address(attempt), raw_of(body_for(attempt, ranking("a"))))
        assert response.status_code == 403

    def test_without_a_secret_the_token_is_needed(self, api: APIClient, settings: Any) -> None:
        settings.WEBHOOK_SECRET = ""
        attempt, other = begin_attempt(hot("202501")), begin_attempt(hot("202502"))
        raw = raw_of(body_for(attempt, ranking("a")))
        wrong = [
            PATH,
            address(collection=str(attempt["_id"])),
            address(token=attempt["attempt_token"]),
            address(attempt, token="wrong"),
            address(attempt, token="ф"),
            address(attempt, token=other["attempt_token"]),
            address(attempt, collection="nonsense"),
        ]
        for path in wrong:
            assert api.generic("POST", path, raw).status_code == 403, path
        assert status_of(api.generic("POST", address(attempt), raw)) == "stored"

    def test_no_account_is_needed_and_a_bad_one_does_not_matter(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        api.credentials(HTTP_AUTHORIZATION="Bearer of-the-collection-service")
        assert status_of(call(api, body_for(attempt, ranking("a")), attempt)) == "stored"


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [b"", b"not json", b"[1, 2]", b'"text"', b"null", b"5", b"true", b"{", b"\xff\xfe", b"NaN"],
    )
    def test_of_an_unknown_attempt_only_json_objects_are_taken(self, api: APIClient, body: bytes) -> None:
        response = call(api, body)
        assert (response.status_code, response.json()["error"]) == (400, "VALIDATION_ERROR")

    @pytest.mark.parametrize("status", [200, 1.5, None, True, [], {"a": 1}, 10**18, "", "☃", "completed"])
    def test_an_odd_status_is_no_reason_to_fail(self, api: APIClient, status: Any) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, body_for(attempt, ranking("a"), status=status), attempt)) == "stored"

    @pytest.mark.parametrize("status", [500, "502", "failed", "Canceled", "timed_out"])
    def test_a_status_that_says_failure_is_one(self, api: APIClient, status: Any) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, body_for(attempt, ranking("a"), status=status), attempt)) == "failed"
        assert records() == {}

    @pytest.mark.parametrize("execution_id", [None, 5, True, [], {}, "", "\x00", "x" * 10_000, "☃"])
    def test_an_odd_execution_id_is_no_reason_to_fail(self, api: APIClient, execution_id: Any) -> None:
        body = {"executionId": execution_id, "status": "completed", "resultData": ranking("a")}
        assert status_of(call(api, body)) == "parked"

    def test_an_empty_object_is_acknowledged(self, api: APIClient) -> None:
        assert status_of(call(api, {})) == "heartbeat"

    @pytest.mark.parametrize("depth", [200, 900])
    def test_an_absurdly_nested_answer_is_a_failure(self, api: APIClient, depth: int) -> None:
        attempt = begin_attempt(hot())
        nested = b'{"executionId":"x","resultData":{"hotList":{"list":[{"a":' + b"[" * depth + b"]" * depth
        assert status_of(call(api, nested + b"}]}}}", attempt)) == "failed"
        assert reload(attempt)["error_code"] == "unstorable_payload"

    @pytest.mark.parametrize("is_announced", [True, False])
    def test_too_large_is_413_and_the_limit_itself_is_not(
        self, api: APIClient, settings: Any, is_announced: bool
    ) -> None:
        settings.WEBHOOK_MAX_BYTES = LIMIT_BYTES
        attempt = begin_attempt(hot())
        raw = raw_of(body_for(attempt, ranking("a")))
        for size, expected in ((LIMIT_BYTES + 1, 413), (LIMIT_BYTES, 200)):
            body = raw + b" " * (size - len(raw))
            extra = {} if is_announced else chunked(body)
            assert call(api, body, attempt, **extra).status_code == expected

    def test_the_limit_is_20_mb_by_default(self, api: APIClient, settings: Any) -> None:
        assert settings.WEBHOOK_MAX_BYTES == 20 * 1024 * 1024
        response = call(api, b" " * (20 * 1024 * 1024 + 1), signature="sha256=" + "0" * 64)
        assert (response.status_code, response.json()["error"]) == (413, "PAYLOAD_TOO_LARGE")

    def test_more_than_other_addresses_take(self, api: APIClient, settings: Any) -> None:
        attempt = begin_attempt(hot())
        names = ["x" * 1000] * 1500
        assert len(names) * 1000 > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        assert status_of(call(api, body_for(attempt, ranking(*names)), attempt)) == "stored"

    def test_a_chunked_body_is_read_whole(self, api: APIClient) -> None:
        attempt = begin_attempt(hot())
        body = raw_of(body_for(attempt, ranking("a")))
        assert status_of(call(api, body, attempt, **chunked(body))) == "stored"

    @pytest.mark.parametrize("length", ["-5", "abc", "٣", "1e3", ""])
    def test_a_nonsensical_length_is_an_error_of_the_caller(self, api: APIClient, length: str) -> None:
        response = call(api, {"a": 1}, CONTENT_LENGTH=length)
        assert response.status_code in (400, 403)


def chunked(body: bytes) -> dict[str, Any]:
    """What our server hands over for a body whose length was not announced."""
    return {
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
    }


class TestMongoIsDown:
    @pytest.fixture
    def mongo_down(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        monkeypatch.setattr(receive, "receive_webhook", no_mongo)
        return monkeypatch

    def test_a_paid_for_answer_is_kept_and_taken_later(
        self, api: APIClient, mongo_down: pytest.MonkeyPatch
    ) -> None:
        attempt = begin_attempt(hot())
        assert status_of(call(api, body_for(attempt, ranking("kept")), attempt)) == "parked"
        assert mongo_outage.is_known
        mongo_down.undo()
        assert receive_deferred() == 1
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert receive_deferred() == 0

    def test_until_it_is_back_they_stay(self, api: APIClient, mongo_down: pytest.MonkeyPatch) -> None:
        attempt = begin_attempt(hot())
        call(api, body_for(attempt, ranking("kept")), attempt)
        with pytest.raises(ServerSelectionTimeoutError):
            receive_deferred()
        mongo_down.undo()
        assert receive_deferred() == 1

    def test_one_that_can_never_be_taken_does_not_block_the_others(self, redis_client: Any) -> None:
        attempt = begin_attempt(hot())
        redis_client.rpush("mengla:deferred_answers", b"damaged")
        assert parked.defer(["no object", None, None])
        assert parked.defer([body_for(attempt, ranking("a")), str(attempt["_id"]), attempt["attempt_token"]])
        assert receive_deferred() == 3
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert receive_deferred() == 0

    def test_when_it_can_be_kept_nowhere_the_service_is_told(
        self, api: APIClient, mongo_down: pytest.MonkeyPatch
    ) -> None:
        mongo_down.setattr(parked, "defer", lambda _answer: False)
        attempt = begin_attempt(hot())
        response = call(api, body_for(attempt, ranking("a")), attempt)
        assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")

    def test_only_so_many_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parked, "_DEFERRED_MAX_LENGTH", 2)
        assert [parked.defer([{}, None, None]) for _ in range(3)] == [True, True, False]

    @pytest.mark.parametrize("error", [OperationFailure("not authorised", 13), DatabaseError("other")])
    def test_another_error_of_the_database_is_a_crash_and_not_hidden(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_arguments: Any, **_options: Any) -> None:
            raise error

        monkeypatch.setattr(receive, "receive_webhook", fail)
        response = call(api, {"executionId": "x"})
        assert (response.status_code, response.json()["error"]) == (500, "INTERNAL_ERROR")
        assert collections() == []
