"""Asking for figures over HTTP: what is accepted, what is refused, and what an answer carries."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.caching.tiers import clear_all
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action, Priority
from apps.mengla.queue import removal
from apps.mengla.reading import read as read_module
from apps.mengla.upstream import breaker
from tests.mengla.support import (
    change_records,
    collections,
    enqueue,
    figures_of,
    hot,
    json_text,
    ranking,
    reload,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
ASK = {"primaryCatId": "1001", "action": "hot", "timest": "2025-06"}
POST_PATHS = {
    "high": Action.HIGH,
    "hot": Action.HOT,
    "chance": Action.CHANCE,
    "industry-view": Action.INDUSTRY_VIEW,
    "industry-trend": Action.INDUSTRY_TREND,
}
Ask = Callable[..., Any]


@pytest.fixture
def ask(reader: APIClient) -> Ask:
    def get(*, headers: dict[str, str] | None = None, **parameters: Any) -> Any:
        asked = {name: value for name, value in {**ASK, **parameters}.items() if value is not None}
        return reader.get("/api/mengla/", asked, headers=headers or {})

    return get


@pytest.fixture
def post(reader: APIClient) -> Ask:
    def send(path: str, body: Any) -> Any:
        return reader.post(f"/api/mengla/{path}", body, format="json")

    return send


def fields_of(response: Any) -> list[str]:
    body = response.json()
    assert (response.status_code, body["success"], body["error"]) == (400, False, "VALIDATION_ERROR"), body
    assert all(body["fields"].values())
    return sorted(body["fields"])


class TestMiss:
    def test_that_is_polled_joins_its_collection_once_while_it_is_active(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        joined: list[Any] = []
        join = read_module.jobs.enqueue

        def note(query: Any, **options: Any) -> Any:
            joined.append(query)
            return join(query, **options)

        monkeypatch.setattr(read_module.jobs, "enqueue", note)
        ids = [ask().json()["data"]["collection"]["id"] for _ in range(3)]
        assert (len(set(ids)), len(joined)) == (1, 1)
        removal.cancel_pending({})
        assert ask().json()["data"]["collection"]["id"] != ids[0]
        assert len(joined) == 2

    def test_is_answered_with_the_collection(self, ask: Ask) -> None:
        response = ask()
        (collection,) = collections()
        assert response.status_code == 202
        body = response.json()
        assert body["success"] is True and body["message"]
        brief = body["data"]["collection"]
        assert body["data"]["collecting"] is True
        assert brief == {
            "id": str(collection["_id"]),
            "status": "PENDING",
            "priority": int(Priority.READER),
            "position": 0,
            "waiting": {"code": "no_service", "message": body["message"], "since": None},
            "created_at": brief["created_at"],
        }
        assert brief["created_at"].endswith("Z")
        assert response.headers["Location"] == f"/api/mengla/collections/{collection['_id']}"
        assert int(response.headers["Retry-After"]) > 0

    def test_the_reader_is_named_and_goes_first(self, ask: Ask) -> None:
        enqueue(hot(), Priority.BACKFILL)
        ask()
        (collection,) = collections()
        assert collection["priority"] == Priority.READER
        ask(timest="2025-07")
        assert collections()[-1]["requested_by"] == "reader"

    def test_the_place_in_the_queue_is_told(self, ask: Ask, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = "http://service"
        note_heartbeat()
        for month in ("202501", "202502", "202503"):
            enqueue(hot(month), Priority.READER)
        enqueue(hot("202504"), Priority.SCHEDULED)
        response = ask()
        assert response.json()["data"]["collection"]["position"] == 3
        assert int(response.headers["Retry-After"]) > int(ask(timest="2025-01").headers["Retry-After"])

    def test_asking_again_joins(self, ask: Ask) -> None:
        assert ask().json()["data"]["collection"]["id"] == ask().json()["data"]["collection"]["id"]
        assert len(collections()) == 1

    def test_it_says_when_the_service_is_unavailable(self, ask: Ask, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = "http://service"
        note_heartbeat()
        assert "unreachable" not in ask().json()["message"]
        for _ in range(settings.CB_FAILURE_THRESHOLD):
            breaker.record_failure("connect_error")
        response = ask()
        assert response.status_code == 202
        assert "unreachable" in response.json()["message"]


class TestParameters:
    @pytest.mark.parametrize("cat_id", ["", "all"])
    def test_all_categories(self, ask: Ask, cat_id: str) -> None:
        assert ask(primaryCatId=cat_id).status_code == 202
        assert collections()[0]["cat_id"] == ""

    @pytest.mark.parametrize("action", [None, ""])
    def test_the_distribution_is_the_default(self, ask: Ask, action: str | None) -> None:
        ask(action=action)
        assert collections()[0]["action"] == "industryViewV2"

    @pytest.mark.parametrize("missing", ["primaryCatId", "timest"])
    def test_category_and_period_are_required(self, ask: Ask, missing: str) -> None:
        assert fields_of(ask(**{missing: None})) == [missing]

    @pytest.mark.parametrize("cat_id", ["9999", "0", "1001x", "-1", "я", "1" * 100, "1001 OR 1=1", "$ne"])
    def test_an_unknown_category(self, ask: Ask, post: Ask, cat_id: str) -> None:
        assert fields_of(ask(primaryCatId=cat_id)) == ["primaryCatId"]
        assert fields_of(post("hot", {"catId": cat_id, "timest": "2025-06"})) == ["catId"]
        assert fields_of(ask(primaryCatId=cat_id, refresh="true")) == ["primaryCatId"]
        assert collections() == []

    @pytest.mark.parametrize(
        ("parameters", "field"),
        [
            ({"action": "nope"}, "action"),
            ({"dateType": "week"}, "dateType"),
            ({"timest": ""}, "timest"),
            ({"timest": "2025-13"}, "timest"),
            ({"timest": "20250230"}, "timest"),
            ({"timest": "2025-Q5"}, "timest"),
            ({"timest": "now"}, "timest"),
            ({"timest": "202506\n"}, "timest"),
            ({"timest": " 2025"}, "timest"),
            ({"timest": "2025 "}, "timest"),
            ({"timest": " "}, "timest"),
            ({"timest": ["2025-06", "2025-07"]}, "timest"),
            ({"timest": ["2025-06", "2025-06"]}, "timest"),
            ({"primaryCatId": ["1001", "1002"]}, "primaryCatId"),
            ({"primaryCatId": "1001 "}, "primaryCatId"),
            ({"dateType": "month "}, "dateType"),
            ({"action": "industryTrendRange", "starRange": "2025-01 "}, "starRange"),
            ({"action": "industryTrendRange", "endRange": "2025-06\t"}, "endRange"),
            ({"timest": "2" * 1000}, "timest"),
            ({"timest": "2025-06-01", "dateType": "month"}, "timest"),
            ({"starRange": "2025-07"}, "starRange"),
            ({"action": "industryTrendRange", "starRange": "2025-07", "endRange": "2025-01"}, "starRange"),
            ({"action": "industryTrendRange", "starRange": "1900-01", "endRange": "2100-01"}, "starRange"),
            (
                {
                    "action": "industryTrendRange",
                    "starRange": "2000-01-01",
                    "endRange": "2025-06-01",
                    "timest": "2025-06-01",
                },
                "endRange",
            ),
            ({"wait": "-1"}, "wait"),
            ({"wait": "31"}, "wait"),
            ({"wait": "soon"}, "wait"),
            ({"wait": "9" * 5000}, "wait"),
            ({"refresh": "maybe"}, "refresh"),
            ({"extra": "{"}, "extra"),
            ({"extra": "[1]"}, "extra"),
            ({"extra": '{"catId": "2"}'}, "extra"),
            ({"extra": '{"a": 1e999}'}, "extra"),
            ({"extra": '{"a": NaN}'}, "extra"),
            ({"extra": '{"a": 18446744073709551615}'}, "extra"),
            ({"extra": '{"$where": 1}'}, "extra"),
            ({"extra": '{"a": ' + "[" * 400 + "]" * 400 + "}"}, "extra"),
            ({"extra": json.dumps({"a": "x" * 3000})}, "extra"),
            ({"product_id": "p" * 65}, "product_id"),
            ({"product_id": "\x00"}, "product_id"),
        ],
    )
    def test_nonsense_is_400_and_never_500(self, ask: Ask, parameters: dict[str, str], field: str) -> None:
        assert fields_of(ask(**parameters)) == [field]
        assert collections() == []

    def test_extra_that_is_nested_deeply_is_400(self, ask: Ask) -> None:
        for depth in (10, 1000, 2000):
            assert fields_of(ask(extra='{"a":' * depth + "1" + "}" * depth)) == ["extra"]

    @pytest.mark.parametrize(
        "body",
        [
            {"timest": ["2025-06"]},
            {"timest": {"a": 1}},
            {"timest": True},
            {"timest": 2025.5},
            {"timest": -202506},
            {"catId": [1001], "timest": "2025-06"},
            {"catId": True, "timest": "2025-06"},
            {"wait": None, "timest": "2025-06"},
            {"wait": [1], "timest": "2025-06"},
            {"refresh": None, "timest": "2025-06"},
            {"refresh": [], "timest": "2025-06"},
            {"extra": [], "timest": "2025-06"},
            {"extra": "{}", "timest": "2025-06"},
            {"extra": {"a": {"b": [[[[[[]]]]]]}}, "timest": "2025-06"},
            {"extra": {"": 1}, "timest": "2025-06"},
            {"product_id": {}, "timest": "2025-06"},
        ],
    )
    def test_wrong_types_are_400(self, post: Ask, body: Any) -> None:
        fields_of(post("hot", body))
        assert collections() == []

    @pytest.mark.parametrize("body", [[], "text", None, 5, [{"timest": "2025-06"}]])
    def test_a_body_that_is_no_object_is_400(self, post: Ask, body: Any) -> None:
        response = post("hot", body)
        assert (response.status_code, response.json()["error"]) == (400, "VALIDATION_ERROR")

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({"wait": 99, "timest": "2025-13"}, ["timest", "wait"]),
            (
                {"wait": 99, "timest": "2025-13", "catId": "x", "extra": []},
                ["catId", "extra", "timest", "wait"],
            ),
            ({"wait": 99}, ["timest", "wait"]),
            ({"wait": 99, "timest": ["2025"]}, ["timest", "wait"]),
        ],
    )
    def test_all_that_is_wrong_is_told_at_once(self, post: Ask, body: Any, fields: list[str]) -> None:
        assert sorted(fields_of(post("hot", body))) == fields

    @pytest.mark.parametrize("number", [1001.0, 1001])
    def test_a_whole_number_is_one_however_it_is_written(self, post: Ask, number: float) -> None:
        body = {"catId": number, "timest": 202506.0, "wait": 0.0}
        assert post("hot", body).status_code == 202
        assert collections()[0]["identity"] == hot().identity

    @pytest.mark.parametrize("number", [1.5, -0.5, 1e300, 2.0**63])
    def test_a_fraction_is_no_text(self, post: Ask, number: float) -> None:
        assert fields_of(post("hot", {"timest": "2025-06", "product_id": number})) == ["product_id"]
        assert collections() == []

    def test_numbers_may_be_numbers_and_absent_may_be_null(self, post: Ask) -> None:
        body = {"catId": 1001, "timest": 202506, "dateType": None, "starRange": "", "extra": None}
        assert post("hot", body).status_code == 202
        assert collections()[0]["identity"] == hot().identity

    @pytest.mark.parametrize(("path", "action"), POST_PATHS.items())
    def test_each_action_has_an_address(self, post: Ask, path: str, action: Action) -> None:
        assert post(path, {"catId": "1001", "timest": "2025-06"}).status_code == 202
        assert collections()[0]["action"] == action

    @pytest.mark.parametrize("path", POST_PATHS)
    def test_the_address_says_the_action_and_the_body_does_not(self, post: Ask, path: str) -> None:
        assert fields_of(post(path, {"action": "chance", "timest": "2025-06"})) == ["action"]
        assert collections() == []

    def test_the_general_address_needs_an_action(self, post: Ask) -> None:
        assert fields_of(post("query", {"timest": "2025-06"})) == ["action"]
        assert fields_of(post("query", {"timest": "2025-06", "action": "x"})) == ["action"]
        assert post("query", {"timest": "2025-06", "action": "high"}).status_code == 202

    def test_get_and_post_ask_the_same_question(self, ask: Ask, post: Ask) -> None:
        extra = {"a": [1, {"b": None}]}
        ask(product_id="p", extra=json_text(extra))
        post(
            "query", {"action": "hot", "catId": "1001", "timest": "202506", "product_id": "p", "extra": extra}
        )
        assert len(collections()) == 1
        assert collections()[0]["extra"] == extra

    def test_both_spellings_of_the_address(self, reader: APIClient) -> None:
        for path in ("/api/mengla", "/api/mengla/"):
            assert reader.get(path, ASK).status_code == 202

    def test_a_token_is_needed(self, api: APIClient) -> None:
        assert api.get("/api/mengla/", ASK).status_code == 401
        for path in ("query", *POST_PATHS):
            assert api.post(f"/api/mengla/{path}", {}).status_code == 401

    def test_other_methods_are_refused(self, reader: APIClient) -> None:
        for method in ("post", "put", "delete"):
            assert getattr(reader, method)("/api/mengla/").status_code == 405
        assert reader.get("/api/mengla/hot").status_code == 405


class TestHit:
    def test_the_figures_in_the_envelope_with_the_children(self, ask: Ask, sample_tree: Any) -> None:
        store(hot(cat_id="1000"))
        body = ask(primaryCatId="1000").json()
        assert (body["success"], body["message"]) == (True, "ok")
        children = next(node for node in sample_tree if node["catId"] == 1000)["children"]
        assert body["data"] == {**figures_of(hot(cat_id="1000")), "secondaryCategories": children}

    def test_all_categories_come_without_children(self, ask: Ask) -> None:
        store(hot(cat_id=""))
        assert "secondaryCategories" not in ask(primaryCatId="all").json()["data"]

    def test_a_trend_is_a_list_of_points_in_order(self, ask: Ask) -> None:
        query = trend("202501", "202506")
        store(query)
        response = ask(action="industryTrendRange", starRange="2025-01", endRange="2025-06")
        assert response.json()["data"] == figures_of(query)
        assert response.json()["data"][0]["timest"] == "2025-01"

    def test_unknown_fields_and_foreign_letters_are_kept(self, ask: Ask) -> None:
        rows = [{"catName": "Кухня", "catNameCn": "厨房", "неизвестно": {"x": [None, 1.5]}}]
        store(hot(), {"hotList": {"list": rows}})
        assert ask().json()["data"]["list"] == rows

    def test_the_headers(self, ask: Ask) -> None:
        store(hot())
        change_records(hot(), collected_at=utc_now() - timedelta(seconds=90))
        response = ask(headers={"Origin": "http://localhost:5173"})
        assert response.headers["X-MengLa-Freshness"] == "fresh"
        assert response.headers["X-MengLa-Source"] in ("l1", "l2", "l3")
        assert response.headers["Content-Type"].startswith("application/json")
        exposed = response.headers["Access-Control-Expose-Headers"].lower()
        for name in ("Age", "ETag", "X-MengLa-Source", "X-MengLa-Freshness", "X-MengLa-Trend-Partial"):
            assert name.lower() in exposed

    def test_the_age_is_that_of_the_figures(self, ask: Ask) -> None:
        store(hot())
        change_records(hot(), collected_at=utc_now() - timedelta(seconds=90))
        clear_all()
        for _ in range(2):
            assert 90 <= int(ask().headers["Age"]) < 100

    def test_a_client_that_has_it_gets_304_without_a_body(self, ask: Ask) -> None:
        store(hot())
        tag = ask().headers["ETag"]
        for header in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
            response = ask(headers={"If-None-Match": header})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["ETag"] == tag
            assert "Age" in response.headers
        assert ask(headers={"If-None-Match": '"other"'}).status_code == 200

    def test_other_figures_have_another_tag(self, ask: Ask) -> None:
        store(hot(), ranking("a"))
        tag = ask().headers["ETag"]
        store(hot("202507"), ranking("b"))
        assert ask(timest="2025-07").headers["ETag"] != tag

    def test_large_answers_are_compressed_for_who_reads_that(self, ask: Ask) -> None:
        store(hot(), ranking(*["Кухонные принадлежности"] * 100))
        plain = ask()
        packed = ask(headers={"Accept-Encoding": "br, gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == plain.content
        assert len(packed.content) < len(plain.content) / 5
        assert packed.headers["ETag"] == plain.headers["ETag"]
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert "Content-Encoding" not in ask(headers={"Accept-Encoding": "gzip;q=0"}).headers

    def test_nothing_is_told_as_nothing(self, ask: Ask) -> None:
        store_empty(hot())
        response = ask()
        assert response.status_code == 200
        assert response.json() == {"success": True, "data": None, "message": "empty: empty_list"}
        assert response.headers["X-MengLa-Freshness"] == "empty"

    def test_a_hit_enqueues_nothing(self, ask: Ask) -> None:
        ended = store(hot())
        for _ in range(3):
            assert ask().status_code == 200
        assert collections() == [reload(ended)]

    def test_head_is_answered_without_a_body(self, reader: APIClient) -> None:
        store(hot())
        response = reader.head("/api/mengla/", ASK)
        assert response.status_code == 200
        assert response.content == b""
