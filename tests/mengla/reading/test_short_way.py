"""The short way: the same answers as the whole way, nothing done twice, no other callers accepted."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from apps.auth import services
from apps.auth.models import ApiToken
from apps.auth.tokens import caller_cache
from apps.core import process_state
from apps.core.caching import replay
from apps.core.caching.replay import Replay
from apps.core.caching.tiers import clear_all
from apps.core.storage import counters
from apps.core.storage.mongo import collection_of
from apps.core.web import middleware, short_way
from apps.core.web.request_ids import request_id_of
from apps.core.web.short_way import ShortWay
from apps.core.web_threads import body_places
from apps.mengla.choices import Action
from apps.mengla.errors import CollectTimeout
from apps.mengla.models import Collection
from apps.mengla.store import outcomes
from tests.mengla.support import collections, hot, make_stale, ranking, store
from tests.mengla.wsgi import BODY, FIGURES, QUERY, Answer, Site

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree", "stored"),
]
POSTS = ("high", "hot", "chance", "industry-view", "industry-trend")
Counts = dict[tuple[str, ...], int]


def query_of(period: str, *, action: str = "hot", cat_id: str = "1001") -> str:
    return f"action={action}&primaryCatId={cat_id}&timest={period}"


def body_of(**fields: Any) -> bytes:
    return json.dumps({"catId": "1001", "timest": "2025-06"} | fields).encode()


def whatever_tier(answer: Answer) -> Any:
    """Return what two answers share, also if the caches have caught up with a write between them."""
    status, headers, body = answer.lasting
    return status, {**headers, "x-mengla-source": "x-mengla-source" in headers}, body


@pytest.fixture
def stored(sample_tree: Any) -> None:
    for action in (Action.HOT, Action.HIGH, Action.CHANCE, Action.INDUSTRY_VIEW):
        store(replace(hot(), action=action), ranking(*(f"item {number}" for number in range(60))))


@pytest.fixture
def site(reader_token: str) -> Iterator[Site]:
    site = Site(reader_token, lambda django, renewal: ShortWay(django, renewal=renewal))
    yield site
    site.renewal.stop()


@pytest.fixture
def whole_way(reader_token: str) -> Site:
    """Return the site without anything in front of Django."""
    return Site(reader_token, lambda django, renewal: django)


class TestSameAnswer:
    """The short and the whole way say the same, header by header."""

    HEADERS: tuple[dict[str, str], ...] = (
        {},
        {"HTTP_ACCEPT_ENCODING": "gzip, deflate, br"},
        {"HTTP_ACCEPT_ENCODING": "gzip;q=0, *"},
        {"HTTP_IF_NONE_MATCH": '"other"'},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_ACCEPT_LANGUAGE": "zh-CN"},
        {"HTTP_COOKIE": "django_language=zh-hans"},
        {"HTTP_ORIGIN": "https://allowed.example"},
        {"HTTP_ORIGIN": "https://other.example"},
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_X_FORWARDED_FOR": "10.1.2.3", "HTTP_X_FORWARDED_PROTO": "https"},
    )
    # Each kind of reply: stored figures, nothing stored yet, and what is wrong with the parameters.
    QUERIES = (
        QUERY,
        f"{QUERY}&product_id=&dateType=MONTH",
        query_of("2025-05"),
        query_of("2025-05", action="industryTrendRange"),
        query_of("soon"),
        query_of("2199-01"),
        query_of("2025-06", cat_id="999"),
        "timest=2025-06",
        f"{QUERY}&wait=31",
        "%ff=%E4%BD%A0&" + QUERY,
    )

    @pytest.mark.parametrize("headers", HEADERS, ids=str)
    def test_of_a_query(self, site: Site, whole_way: Site, headers: dict[str, str]) -> None:
        for _ in range(2):
            site.send(**headers)  # learns the frame, for stored figures
        ways = set()
        for query in self.QUERIES:
            expected = whole_way.send(query=query, **headers)
            answer = site.send(query=query, **headers)
            assert whatever_tier(answer) == whatever_tier(expected), query
            ways.add((answer.status[:3], answer.is_short))
        assert ways == {
            ("304" if headers.get("HTTP_IF_NONE_MATCH") == "*" else "200", True),
            ("202", False),  # the first of its kind
            ("202", True),
            ("400", False),
        }

    @pytest.mark.parametrize("action", POSTS)
    def test_of_a_body(self, site: Site, whole_way: Site, action: str) -> None:
        for body in (BODY, body_of(timest="2025-05")):
            site.post(action, body)
        bodies = [BODY, body_of(product_id=""), body_of(timest="2025-04"), body_of(catId=7), b"[]", b"{"]
        bodies += [b"null", b'{"timest": NaN}', b"{'a'}", body_of(extra={"x": [1]}), b"[" * 99]
        for body in bodies:
            expected = whole_way.post(action, body)
            answer = site.post(action, body)
            assert whatever_tier(answer) == whatever_tier(expected), body
            assert answer.is_short == answer.status.startswith("20"), body

    def test_which_tier_it_comes_from(self, site: Site) -> None:
        site.pair()
        tiers = []
        for forget in (clear_all, process_state.forget_all, lambda: None):
            forget()
            site.send(query="timest=")  # the caller is known to this process again
            tiers.append([(one.headers["x-mengla-source"], one.is_short) for one in (site.send(),)])
        assert tiers == [[("l3", True)], [("l2", True)], [("l1", True)]]

    def test_stale_figures(self, site: Site, whole_way: Site) -> None:
        site.pair()
        make_stale(hot())
        clear_all()
        expected, answer = whole_way.send(), site.send()
        assert (answer.is_short, answer.headers["x-mengla-freshness"]) == (True, "stale")
        assert answer.lasting[::2] == expected.lasting[::2]
        assert len(collections(active_key={"$ne": None})) == 1

    @pytest.mark.parametrize("headers", HEADERS, ids=str)
    def test_of_a_collection(self, site: Site, whole_way: Site, headers: dict[str, str]) -> None:
        missing = site.send(query=query_of("2025-05"))
        path = missing.headers["location"]
        expected, short = site.pair(path, "", **headers)
        assert short.lasting == expected.lasting == whole_way.send(path, "", **headers).lasting
        assert json.loads(short.body)["data"]["status"] == "PENDING"
        collection_of(Collection).delete_many({})
        gone = site.send(path, "", **headers)
        assert (gone.status, gone.is_short) == ("404 Not Found", False)
        assert gone.lasting == whole_way.send(path, "", **headers).lasting

    def test_a_charset_decides_how_a_query_is_read(self, site: Site, whole_way: Site) -> None:
        strange = {"CONTENT_TYPE": "application/json; charset=windows-1251"}
        for _ in range(3):
            answer = site.send(**strange)
            assert (answer.lasting, answer.is_short) == (whole_way.send(**strange).lasting, False)


class TestNothingIsDoneTwice:
    def test_a_reply_of_a_new_kind(self, site: Site, counted: Callable[[], Counts]) -> None:
        site.pair()
        before = counted()
        answer = site.send(query=query_of("2025-05"))
        assert (answer.status, answer.is_short) == ("202 Accepted", False)
        assert counted() == {**before, ("hot", "miss", "collecting"): 1}
        assert len(collections(active_key={"$ne": None})) == 1

    def test_an_error(self, site: Site, counted: Callable[[], Counts]) -> None:
        site.pair()
        before = counted()
        answer = site.send(query=query_of("2025-06", cat_id="999"))
        assert (answer.status, answer.is_short) == ("400 Bad Request", False)
        assert counted() == before
        assert collections(active_key={"$ne": None}) == []

    def test_an_unexpected_error_is_logged_once(
        self,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        written_log: Callable[[], list[dict[str, Any]]],
    ) -> None:
        site.pair()
        calls = []

        def fail(*_: Any, **__: Any) -> None:
            calls.append(1)
            raise ZeroDivisionError

        monkeypatch.setattr("apps.mengla.replies.read", fail)
        answer = site.send(query=query_of("2025-05"))
        assert (answer.status, len(calls)) == ("500 Internal Server Error", 1)
        (line,) = [one for one in written_log() if one["event"] == "unhandled_exception"]
        assert line["request_id"] == answer.headers["x-request-id"]
        assert "ZeroDivisionError" in line["exception"]

    @pytest.fixture
    def counted(self) -> Callable[[], Counts]:
        def count() -> Counts:
            (day,) = counters.read_days(counters.STATS, days=1) or []
            reads = outcomes.each_counter(day.counts, outcomes.READ)
            return {tuple(labels): number for labels, number in reads}

        return count


class TestWhoIsAnswered:
    @pytest.fixture(autouse=True)
    def _warm(self, stored: None, site: Site) -> None:
        site.pair()

    def ask(self, site: Site, **extra: str) -> Answer:
        return site.send(query=f"{QUERY}&product_id=", **extra)

    def test_only_the_same_frame(self, site: Site) -> None:
        assert self.ask(site).is_short
        for name in short_way.FRAME:
            if name.startswith("HTTP_"):
                assert not self.ask(site, **{name: "x"}).is_short, name
        assert not self.ask(site, REMOTE_ADDR="127.0.0.2").is_short
        assert not site.send(FIGURES[:-1]).is_short
        assert not site.send(method="HEAD").is_short

    def test_until_the_token_is_revoked(self, site: Site) -> None:
        services.revoke_token(token_id=str(ApiToken.objects.get().pk), revoked_by="tests")
        assert self.ask(site).status == "401 Unauthorized"

    def test_until_the_state_of_the_caller_is_too_old(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(caller_cache, "FRESH_SECONDS", 0.0)
            assert not self.ask(site).is_short
        self.ask(site)
        assert self.ask(site).is_short

    def test_no_stranger_s_body_is_read(self, site: Site) -> None:
        class Endless(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise AssertionError("it was read")

        for _ in range(2):
            site.post("hot")
        refused = site.post(
            "hot",
            **{"wsgi.input": Endless(), "HTTP_AUTHORIZATION": "Bearer mlc_nobody"},  # type: ignore[arg-type]
        )
        assert refused.status == "401 Unauthorized"


class TestBodies:
    @pytest.fixture(autouse=True)
    def _warm(self, stored: None, site: Site) -> None:
        for _ in range(2):
            site.post("hot")

    @pytest.mark.parametrize(
        "body",
        [BODY + b" " * replay.MAX_BODY_BYTES, b""],
        ids=["a long one", "an empty one"],
    )
    def test_goes_the_whole_way(self, site: Site, whole_way: Site, body: bytes) -> None:
        length = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "method": "POST"}
        answer = site.send("/api/mengla/hot", "", body=body, **length)
        assert not answer.is_short
        assert answer.lasting == whole_way.send("/api/mengla/hot", "", body=body, **length).lasting

    def test_one_that_ends_early_is_refused(self, site: Site) -> None:
        for sent in (BODY[:-9], BODY):
            answer = site.post("hot", sent, CONTENT_LENGTH=str(len(BODY) + 1))
            assert (answer.status, answer.is_short) == ("400 Bad Request", False)
        assert site.post("hot").is_short

    def test_a_query_with_a_body_goes_the_whole_way(self, site: Site) -> None:
        site.pair()
        assert not site.send(body=BODY, method="GET", CONTENT_TYPE="").is_short

    def test_one_that_was_read_needs_no_place_on_the_whole_way(
        self, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fill_all_places(*_: Any, **__: Any) -> None:
            opened.enter_context(body_places().claim())
            raise CollectTimeout("late")

        settings.WEB_THREADS = 2
        process_state.forget_all()
        for _ in range(2):
            site.post("hot")
        monkeypatch.setattr("apps.mengla.replies.read", fill_all_places)
        with contextlib.ExitStack() as opened:
            assert site.post("hot").status == "504 Gateway Timeout"

    def test_without_a_free_place_it_goes_the_whole_way(self, site: Site, settings: Any) -> None:
        settings.WEB_THREADS = 2
        process_state.forget_all()
        for _ in range(2):
            site.post("hot")
        with body_places().claim() as has_place:
            assert has_place
            answer = site.post("hot")
        assert (answer.status, answer.is_short) == ("429 Too Many Requests", False)


def test_each_request_has_its_line(site: Site, written_log: Callable[[], list[dict[str, Any]]]) -> None:
    site.pair()
    whole, short = (site.send(query=query_of(period)) for period in ("2025-05", "2025-04"))
    assert (whole.is_short, short.is_short) == (False, True)
    lines = [line for line in written_log() if line.get("logger") == "collector.access"][-2:]
    for line, answer in zip(lines, (whole, short), strict=True):
        assert line["request_id"] == answer.headers["x-request-id"]
        assert line["collection_id"] == json.loads(answer.body)["data"]["collection"]["id"]
    own = ("request_id", "milliseconds", "timestamp", "collection_id")
    first, second = ({name: line[name] for name in line if name not in own} for line in lines)
    assert first == second
    assert site.send(HTTP_X_REQUEST_ID="mine-1").headers["x-request-id"] == "mine-1"


def test_a_line_has_the_whole_time_of_a_request_that_goes_both_ways(
    site: Site, written_log: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slow_read(*_: Any, **__: Any) -> None:
        nonlocal now
        now += 5
        raise CollectTimeout("late")

    site.pair()
    monkeypatch.setattr("apps.mengla.replies.read", slow_read)
    clock = SimpleNamespace(perf_counter=lambda: now)
    monkeypatch.setattr(short_way, "time", clock)
    monkeypatch.setattr(middleware, "time", clock)
    answer = site.send(query=query_of("2025-05"))
    assert (answer.status, answer.is_short) == ("504 Gateway Timeout", False)
    lines = [one for one in written_log() if one.get("logger") == "collector.access"]
    (line,) = [one for one in lines if one["request_id"] == answer.headers["x-request-id"]]
    assert line["milliseconds"] == 5000.0


def test_what_it_answers_may_be_replayed(reader_token: str) -> None:
    """As the web server has it: first the replay, then the short way, then Django."""
    site = Site(
        reader_token,
        lambda django, renewal: Replay(
            ShortWay(django, renewal=renewal), renewal=renewal, request_id_of=request_id_of
        ),
    )
    site.pair()
    other = f"{QUERY}&product_id="
    sent = [site.send(query=other) for _ in range(3)]
    assert not any(one.has_reached_django for one in sent)
    assert [one.headers["x-mengla-source"] for one in sent] == ["l1"] * 3
    assert len({one.lasting[2] for one in sent}) == 1
    site.renewal.stop()


def test_few_frames_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_way, "MAX_FRAMES", 2)
    used, unused, *others = ({"HTTP_ACCEPT": f"text/{number}"} for number in range(5))
    site.send(**used)
    for frame in (unused, *others):
        assert site.send(**used).is_short
        assert not site.send(**frame).is_short
    assert site.send(**used).is_short
    assert not site.send(**unused).is_short
    long = {"HTTP_COOKIE": "a" * short_way.MAX_FRAME_BYTES}
    assert [site.send(**long).is_short for _ in range(3)] == [False] * 3


class TestConditional:
    """A GET with the ETag of its answer is 304 on every way; a POST has none."""

    def test_a_post_has_no_etag_and_is_never_304(self, site: Site) -> None:
        etag = site.send().headers["etag"]
        for _ in range(3):
            for header in ("*", etag):
                answer = site.send("/api/mengla/hot", "", body=BODY, HTTP_IF_NONE_MATCH=header)
                assert answer.status.startswith("200")
                assert "etag" not in answer.headers
                assert answer.body

    def test_a_get_has_one_and_is(self, site: Site) -> None:
        for number in range(3):
            answer = site.send()
            again = site.send(HTTP_IF_NONE_MATCH=answer.headers["etag"])
            assert (again.status.partition(" ")[0], again.body) == ("304", b""), number


class TestInputs:
    """The short way, and the replays before it, refuse what the whole way refuses."""

    @pytest.mark.parametrize(
        ("body", "name"),
        [
            (b'{"catId": "1001", "timest": "2025-06", "catId": ""}', "catId"),
            (rb'{"catId": "1001", "timest": "2025-06", "cat\u0049d": ""}', "catId"),
            (b'{"primaryCatId": "1001", "timest": "2025-06"}', "primaryCatId"),
            (b'{"catId": "1001", "timest": "2025-06", "extra": {"a": 1, "a": 2}}', "extra.a"),
        ],
    )
    def test_bodies(self, site: Site, body: bytes, name: str) -> None:
        for _ in range(3):
            assert site.send("/api/mengla/hot", "", body=BODY).status.startswith("200")
        answer = site.send("/api/mengla/hot", "", body=body)
        assert answer.status.startswith("400")
        assert list(json.loads(answer.body)["fields"]) == [name]

    def test_parameters_of_an_address_that_takes_a_body(self, site: Site) -> None:
        for _ in range(3):
            site.send("/api/mengla/hot", "", body=BODY)
        answer = site.send("/api/mengla/hot", "timest=2025-05", body=BODY)
        assert answer.status.startswith("400")
        assert list(json.loads(answer.body)["fields"]) == ["timest"]

    @pytest.mark.parametrize("query", [f"{QUERY}&timest=2025-06", f"{QUERY}&catId=1001", f"{QUERY}&x"])
    def test_parameters(self, site: Site, query: str) -> None:
        for _ in range(3):
            assert site.send().status.startswith("200")
        assert site.send(query=query).status.startswith("400")

    def test_parameters_of_a_collection(self, site: Site) -> None:
        answer = site.send(query=query_of("2024-01"))
        address = json.loads(answer.body)["data"]["collection"]["id"]
        for _ in range(3):
            assert site.send(f"/api/mengla/collections/{address}", "").status.startswith("200")
        refused = site.send(f"/api/mengla/collections/{address}", "wait=5")
        assert refused.status.startswith("400")
        assert list(json.loads(refused.body)["fields"]) == ["wait"]
