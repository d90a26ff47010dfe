"""Webhooks that take the short way: the same answers and effects as on the whole way."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.core.signing import sign
from apps.core.web.short_way import ShortWay
from apps.mengla.ingest.refused_signatures import count_refused
from tests.mengla.support import begin_attempt, body_for, hot, ranking, reload
from tests.mengla.wsgi import Answer, Site

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
PATH = "/api/webhook/mengla-notify"
SECRET = "a-webhook-secret"
Document = dict[str, Any]


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.WEBHOOK_SECRET = SECRET


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a site that has learned the frame of webhooks."""
    site = Site("", lambda django, renewal: ShortWay(django, renewal=renewal))
    for _ in range(2):
        answer = call(site, {"status": "running", "executionId": "x"})
        assert data_of(answer) == "heartbeat"
    assert answer.is_short
    yield site
    site.renewal.stop()


@pytest.fixture
def whole_way() -> Site:
    """Return the site without anything in front of Django."""
    return Site("", lambda django, renewal: django)


def call(site: Site, body: Any, attempt: Document | None = None, **extra: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parameters = {"collection": str(attempt["_id"]), "token": attempt["attempt_token"]} if attempt else {}
    headers = {"HTTP_X_SIGNATURE_256": sign(raw, SECRET), "CONTENT_LENGTH": str(len(raw))} | extra
    return site.send(PATH, urlencode(parameters), body=raw, method="POST", **headers)


def data_of(answer: Answer) -> str:
    assert answer.status == "200 OK", answer
    status: str = json.loads(answer.body)["data"]["status"]
    return status


def test_the_probe(site: Site, whole_way: Site) -> None:
    expected, answer = site.pair(PATH, "")
    assert answer.lasting == expected.lasting == whole_way.send(PATH, "").lasting


QUERIES = [hot(f"2025{month:02}") for month in range(1, 3)]
BODIES: dict[str, Callable[[Document], Any]] = {
    "stored": lambda attempt: body_for(attempt, ranking("a")),
    "stored, 400 KB": lambda attempt: body_for(attempt, ranking(*["name" * 100] * 1000)),
    "empty": lambda attempt: body_for(attempt, ranking()),
    "failed": lambda attempt: body_for(attempt, None, status="failed", error="it broke"),
    "unreadable": lambda _: b"\xff{",
    "parked": lambda _: {"executionId": "unknown", "status": "completed", "resultData": ranking("a")},
}


@pytest.mark.parametrize("kind", BODIES)
def test_the_same_answer_and_the_same_effect(site: Site, whole_way: Site, kind: str) -> None:
    answers, effects = [], []
    attempts = [begin_attempt(query) for query in QUERIES]
    for one, attempt in zip((whole_way, site), attempts, strict=True):
        answers.append(call(one, BODIES[kind](attempt), None if kind == "parked" else attempt))
        effects.append([reload(attempt)[name] for name in ("status", "error_code", "attempts")])
    assert answers[0].lasting == answers[1].lasting
    assert answers[1].is_short == (answers[1].status == "200 OK")
    assert effects[0] == effects[1]


def test_a_compressed_one(site: Site) -> None:
    attempt = begin_attempt(hot())
    raw = gzip.compress(json.dumps(body_for(attempt, ranking("a"))).encode())
    answer = call(site, raw, attempt, HTTP_CONTENT_ENCODING="gzip")
    assert (data_of(answer), answer.is_short) == ("stored", True)
    assert data_of(call(site, raw, attempt, HTTP_CONTENT_ENCODING="gzip")) == "duplicate"


def test_a_forged_one_is_refused_and_counted_once(site: Site, whole_way: Site) -> None:
    attempt = begin_attempt(hot())
    body = body_for(attempt, ranking("a"))
    before = count_refused()
    answer = call(site, body, attempt, HTTP_X_SIGNATURE_256="sha256=" + "0" * 64)
    assert (answer.status, answer.is_short) == ("403 Forbidden", False)
    assert count_refused() == before + 1
    expected = call(whole_way, body, attempt, HTTP_X_SIGNATURE_256="sha256=" + "0" * 64)
    assert answer.lasting == expected.lasting
    assert reload(attempt)["status"] == "DISPATCHED"


def test_one_that_ends_early_is_refused(site: Site) -> None:
    attempt = begin_attempt(hot())
    raw = json.dumps(body_for(attempt, ranking("a"))).encode()
    answer = call(site, raw, attempt, CONTENT_LENGTH=str(len(raw) + 1))
    assert (answer.status, answer.is_short) == ("400 Bad Request", False)
    assert reload(attempt)["status"] == "DISPATCHED"


def test_a_very_long_one_goes_the_whole_way(site: Site) -> None:
    attempt = begin_attempt(hot())
    answer = call(site, body_for(attempt, ranking(*["name" * 100] * 3000)), attempt)
    assert (data_of(answer), answer.is_short) == ("stored", False)


@pytest.mark.parametrize("is_readable", [True, False])
def test_its_line_names_the_collection(
    site: Site, written_log: Callable[[], list[dict[str, Any]]], is_readable: bool
) -> None:
    attempt = begin_attempt(hot())
    if is_readable:
        answer = call(site, body_for(attempt, ranking("a")), attempt)
    else:
        answer = call(site, b"\xff{", {**attempt, "attempt_token": "of-no-attempt-of-ours"})
    lines = [one for one in written_log() if one.get("logger") == "collector.access"]
    (line,) = [one for one in lines if one["request_id"] == answer.headers["x-request-id"]]
    assert (line["collection_id"], line["path"]) == (str(attempt["_id"]), PATH)
    assert line["status"] == (200 if is_readable else 400)
