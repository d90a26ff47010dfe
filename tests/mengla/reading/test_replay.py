"""Answers replayed in front of Django: the same as those of the whole way, and only while they hold."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.http.request import HttpHeaders
from rest_framework.test import APIClient

from apps.auth import services
from apps.auth.models import ApiToken
from apps.core import process_state
from apps.core.api import bodies
from apps.core.caching import replay
from apps.core.caching.replay import KEY, Replay
from apps.core.caching.tiers import clear_all, get_cache
from apps.core.storage import counters
from apps.core.web import access_log
from apps.core.web.request_ids import request_id_of
from apps.core.web_threads import body_places
from apps.mengla.choices import Action
from apps.mengla.store import outcomes
from tests.contract.routes import api_routes
from tests.mengla.support import hot, make_stale, ranking, store
from tests.mengla.wsgi import BODY, FIGURES, QUERY, Site

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree", "stored"),
]
POSTS = ("high", "hot", "chance", "industry-view", "industry-trend")
# What the whole way may read of a request beside the key, because no answer that is replayed depends on it.
ALSO_READ = {
    *("HTTP_X_REQUEST_ID", "HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH", "SCRIPT_NAME", "SCRIPT_URL"),
    # DRF and Django look for the last three, too: names that the server does not give to any header.
    *("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "CSRF_COOKIE_NEEDS_UPDATE", "HTTP_USER_AGENT"),
    *("REDIRECT_URL", "SERVER_NAME", "SERVER_PORT", "wsgi.input", "wsgi.errors", replay.CALLER, replay.BASIS),
    access_log.STARTED_AT,
}


def replaying(token: str) -> Site:
    return Site(token, lambda django, renewal: Replay(django, renewal=renewal, request_id_of=request_id_of))


@pytest.fixture
def stored(sample_tree: Any) -> None:
    for action in (Action.HOT, Action.HIGH, Action.CHANCE, Action.INDUSTRY_VIEW):
        store(replace(hot(), action=action), ranking(*(f"item {number}" for number in range(60))))


@pytest.fixture
def site(reader_token: str) -> Iterator[Site]:
    site = replaying(reader_token)
    yield site
    site.renewal.stop()


class TestSameAnswer:
    """A replay and the whole way say the same, header by header."""

    def test_whatever_the_request_says(self, site: Site) -> None:
        etag = site.send(HTTP_ACCEPT="*/*").headers["etag"]
        headers: list[dict[str, str]] = [
            {},
            {"HTTP_ACCEPT_ENCODING": "gzip, deflate, br"},
            {"HTTP_ACCEPT_ENCODING": "gzip;q=0, *"},
            {"HTTP_IF_NONE_MATCH": etag},
            {"HTTP_IF_NONE_MATCH": f'"other", {etag}', "HTTP_ACCEPT_ENCODING": "gzip"},
            {"HTTP_IF_NONE_MATCH": '"other"'},
            {"HTTP_ACCEPT_LANGUAGE": "zh-CN"},
            {"HTTP_COOKIE": "django_language=zh-hans"},
            {"HTTP_ORIGIN": "https://allowed.example"},
            {"HTTP_ORIGIN": "https://other.example"},
            {"HTTP_ACCEPT": "text/html"},
            {"HTTP_X_FORWARDED_FOR": "10.1.2.3", "HTTP_X_FORWARDED_PROTO": "https"},
        ]
        for one in headers:
            whole_way, replayed = site.pair(**one)
            assert replayed.lasting == whole_way.lasting, one
            assert replayed.headers["x-mengla-source"] == "l1"
            assert int(replayed.headers["age"]) - int(whole_way.headers["age"]) in (0, 1)
            assert replayed.headers["x-request-id"] != whole_way.headers["x-request-id"]
            assert set(replayed.headers) == set(whole_way.headers)

    @pytest.mark.parametrize("action", POSTS[:4])
    def test_of_each_post(self, site: Site, action: str) -> None:
        whole_way, replayed = site.pair(f"/api/mengla/{action}", "", body=BODY)
        assert replayed.lasting == whole_way.lasting
        general = json.dumps({"action": action, "product_id": "", "catId": "1001", "timest": "2025-06"})
        assert not site.post(action, general.encode()).is_replayed  # another body

    def test_which_addresses_are_replayed(self, site: Site) -> None:
        """Every address that a reader may read is sent three times; these and no others are replayed."""
        found = set()
        for route in api_routes():
            path = route.path("1001")
            query = QUERY if route.template == "api/mengla" else ""
            answers = [site.send(path, query) for _ in range(3)]
            if answers[-1].is_replayed:
                found.add(route.template)
                assert answers[-1].lasting[0::2] == answers[-2].lasting[0::2], route
        assert found == {
            "api/mengla",
            "api/categories",
            "api/categories/<str:catId>",
            "api/panel-config",
            "api/panel/config",
        }

    def test_nothing_is_read_of_a_request_that_is_not_in_the_key(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: set[str] = set()

        class Recorded(dict[str, Any]):
            def __getitem__(self, name: str) -> Any:
                read.add(name)
                return super().__getitem__(name)

            def get(self, name: str, default: Any = None) -> Any:
                read.add(name)
                return super().get(name, default)

            def __contains__(self, name: object) -> bool:
                read.add(str(name))
                return super().__contains__(name)

        real = HttpHeaders.__getitem__

        def noted(headers: HttpHeaders, name: str) -> str:
            plain = name.upper().replace("-", "_")
            read.add(plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}")
            return real(headers, name)

        monkeypatch.setattr(HttpHeaders, "__getitem__", noted)
        site.environ_class = Recorded
        site.send(HTTP_ORIGIN="https://other.example", HTTP_COOKIE="a=b", HTTP_IF_NONE_MATCH='"a"')
        site.post("hot")
        site.send("/api/categories", "")
        site.send("/api/panel-config/", "")
        assert {"HTTP_AUTHORIZATION", "HTTP_ORIGIN", "HTTP_ACCEPT_ENCODING"} <= read
        assert read - set(KEY) - ALSO_READ == set()


class TestAnotherRequest:
    @pytest.mark.parametrize("name", [one for one in KEY if one.startswith("HTTP_")])
    def test_one_byte_differs(self, site: Site, name: str) -> None:
        site.pair()
        assert not site.send(**{name: "x"}).is_replayed

    def test_another_path_query_body_or_client(self, site: Site) -> None:
        site.pair()
        others = [
            site.send(FIGURES[:-1]),
            site.send(FIGURES, f"{QUERY}&"),
            site.send(method="HEAD"),
            site.send(REMOTE_ADDR="127.0.0.2"),
            site.send(CONTENT_TYPE="text/plain"),
        ]
        assert not any(one.is_replayed for one in others)
        assert site.send().is_replayed

    def test_a_request_keeps_its_own_id(self, site: Site) -> None:
        site.pair()
        assert site.send(HTTP_X_REQUEST_ID="mine-1").headers["x-request-id"] == "mine-1"
        strange = site.send(HTTP_X_REQUEST_ID="ein\nanderer").headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", strange)


class TestBodies:
    def test_a_long_one_goes_the_whole_way(self, site: Site) -> None:
        body = BODY + b" " * replay.MAX_BODY_BYTES
        answers = [site.post("hot", body) for _ in range(3)]
        assert [(one.status, one.is_replayed) for one in answers] == [("200 OK", False)] * 3

    def test_one_in_chunks_goes_the_whole_way(self, site: Site) -> None:
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
        answers = [site.post("hot", **chunked) for _ in range(3)]
        assert [(one.status, one.is_replayed) for one in answers] == [("200 OK", False)] * 3

    def test_one_that_ends_early_is_refused(self, site: Site) -> None:
        for _ in range(3):
            assert site.post("hot").status == "200 OK"
        for sent in (BODY[:-9], BODY):  # also if what comes is the whole body of another request
            refused = site.post("hot", sent, CONTENT_LENGTH=str(len(BODY) + 1))
            assert refused.status == "400 Bad Request"
        # A caller is known for a second, so the first one may go the whole way.
        assert any(site.post("hot").is_replayed for _ in range(3))

    @pytest.mark.parametrize("length", ["-1", "²", "1e3", "x" * 5000])
    def test_a_strange_length(self, site: Site, length: str) -> None:
        assert not site.post("hot", CONTENT_LENGTH=length).is_replayed

    def test_no_stranger_s_body_is_read(self, site: Site) -> None:
        class Endless(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise AssertionError("it was read")

        site.post("hot")
        refused = site.post(
            "hot",
            **{"wsgi.input": Endless(), "HTTP_AUTHORIZATION": "Bearer mlc_nobody"},  # type: ignore[arg-type]
        )
        assert refused.status == "401 Unauthorized"

    def test_without_a_free_place_it_goes_the_whole_way(self, site: Site, settings: Any) -> None:
        settings.WEB_THREADS = 2
        process_state.forget_all()
        for _ in range(3):
            site.post("hot")
        with body_places().claim() as has_place:
            assert has_place
            answer = site.post("hot")
        assert (answer.status, answer.is_replayed) == ("429 Too Many Requests", False)
        assert int(answer.headers["retry-after"]) == bodies.RETRY_AFTER_SECONDS


class TestHowLong:
    @pytest.fixture(autouse=True)
    def _warm(self, stored: None, site: Site) -> None:
        site.pair()

    def test_until_newer_figures_are_stored(self, site: Site) -> None:
        store(hot(), ranking("newer"))
        get_cache().invalidate(hot().cache_group)
        answer = site.send()
        assert (answer.is_replayed, b"newer" in answer.body) == (False, True)
        assert b"newer" in site.pair()[1].body

    def test_until_the_caches_are_cleared(self, site: Site) -> None:
        clear_all()
        assert not site.send().is_replayed

    def test_until_l1_is_cleared(self, site: Site) -> None:
        get_cache().clear_l1()
        assert not site.send().is_replayed

    def test_until_the_process_may_have_missed_news(
        self, site: Site, half_a_second_later: Callable[[], None]
    ) -> None:
        half_a_second_later()
        answer = site.send()
        assert (answer.is_replayed, answer.headers["x-mengla-source"]) == (False, "l1")

    def test_until_the_token_is_revoked(self, site: Site) -> None:
        services.revoke_token(token_id=str(ApiToken.objects.get().pk), revoked_by="tests")
        assert site.send().status == "401 Unauthorized"

    def test_until_the_token_has_expired(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        short = services.create_token(label="short", created_by="tests", expires_hours=1)
        site.token = short.token
        site.pair()
        expires_at = short.expires_at.timestamp()
        for now, is_replayed in ((expires_at - 1, True), (expires_at, False)):
            monkeypatch.setattr(replay, "unix_now", lambda now=now: now)
            assert site.send().is_replayed == is_replayed

    def test_until_the_figures_are_stale(self, site: Site) -> None:
        make_stale(hot())
        clear_all()
        answers = [site.send() for _ in range(3)]
        assert not any(one.is_replayed for one in answers)
        assert {one.headers["x-mengla-freshness"] for one in answers} == {"stale"}


class TestPanelConfig:
    def test_a_change_ends_it(self, site: Site, admin: APIClient) -> None:
        before, _ = site.pair("/api/panel-config", "")
        assert (
            admin.put("/api/panel-config", {"layout": {"defaultPeriod": "year"}}, format="json").status_code
            == 200
        )
        after = site.send("/api/panel-config", "")
        assert (after.is_replayed, after.headers["etag"] != before.headers["etag"]) == (False, True)


class TestNothingIsLost:
    def test_each_read_is_counted(self, site: Site) -> None:
        for _ in range(5):
            site.send()
        (day,) = counters.read_days(counters.STATS, days=1) or []
        reads = outcomes.each_counter(day.counts, outcomes.READ)
        assert list(reads) == [(["hot", "l1", "fresh"], 5)]

    def test_each_request_has_its_line(
        self, site: Site, written_log: Callable[[], list[dict[str, Any]]]
    ) -> None:
        whole_way, replayed = [site.send() for _ in range(3)][1:]
        lines = [line for line in written_log() if line.get("logger") == "collector.access"]
        assert [line["request_id"] for line in lines[1:]] == [
            one.headers["x-request-id"] for one in (whole_way, replayed)
        ]
        own = ("request_id", "milliseconds", "timestamp")
        first, second = ({name: line[name] for name in line if name not in own} for line in lines[1:])
        assert first == second
        assert second["tier"] == "l1" and second["freshness"] == "fresh"
        assert second["bytes"] == len(replayed.body)


class TestBounds:
    def test_the_oldest_unused_answer_is_forgotten(self, settings: Any, reader_token: str) -> None:
        settings.L1_CACHE_MAX_SIZE = 1
        process_state.forget_all()
        site = replaying(reader_token)
        site.pair()
        for number in range(3 * replay.KEYS_OF_ENTRY):
            site.send(HTTP_ACCEPT=f"text/{number}")
            assert site.send().is_replayed  # it is used all the time
        assert not site.send(HTTP_ACCEPT="text/0").is_replayed
        site.renewal.stop()

    def test_a_request_with_long_headers_is_not_remembered(self, site: Site) -> None:
        long = {"HTTP_COOKIE": "a" * replay.MAX_KEY_BYTES}
        assert [site.send(**long).is_replayed for _ in range(3)] == [False] * 3
