"""Final bytes from records: what is missing, what is due, what is empty and how that is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.mengla.queries.data_query import DataQuery
from apps.mengla.store import figures
from apps.mengla.store.figures import FRESHNESS_HEADER, PARTIAL_HEADER, BuiltFigures, build_figures
from tests.mengla.support import hot, trend

NOW = datetime(2025, 7, 1, 12)
CHILDREN = [{"catId": 1001}]


@pytest.fixture(autouse=True)
def _children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        figures, "children_json", lambda cat_id: json.dumps(CHILDREN if cat_id == "1000" else []).encode()
    )


def record(
    record_id: str,
    data: Any = None,
    *,
    empty_reason: str = "",
    collected: timedelta = timedelta(hours=1),
    fresh: timedelta = timedelta(hours=1),
    kept: timedelta = timedelta(days=1),
) -> dict[str, Any]:
    _action, _category, granularity, period_key, *_variant = record_id.split(":")
    return {
        "_id": record_id,
        "granularity": granularity,
        "period_key": period_key,
        "data": data,
        "is_empty": bool(empty_reason),
        "empty_reason": empty_reason,
        "collected_at": NOW - collected,
        "fresh_until": NOW + fresh,
        "expired_at": NOW + kept,
    }


def build(query: DataQuery, *documents: Mapping[str, Any]) -> BuiltFigures:
    built = build_figures(query, documents, now=NOW)
    assert built is not None
    return built


def body_of(built: BuiltFigures) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(built.entry.body)
    return body


def unix(instant: datetime) -> float:
    return instant.replace(tzinfo=UTC).timestamp()


class TestOneRecord:
    def test_the_figures_in_the_envelope(self) -> None:
        query = hot(cat_id="")
        built = build(query, record(query.identity, {"list": [{"catName": "Кухня"}]}))
        assert body_of(built) == {
            "success": True,
            "data": {"list": [{"catName": "Кухня"}]},
            "message": "ok",
        }
        assert (built.to_collect, built.is_incomplete, dict(built.entry.headers)) == ([], False, {})

    def test_the_instants_are_those_of_the_record(self) -> None:
        built = build(hot(), record(hot().identity, {"list": [1]}))
        entry = built.entry
        assert entry.stored_at == unix(NOW - timedelta(hours=1))
        assert entry.fresh_until == unix(NOW + timedelta(hours=1))
        assert entry.serve_until == unix(NOW + timedelta(days=1))

    @pytest.mark.parametrize(("cat_id", "children"), [("1000", CHILDREN), ("1001", [])])
    def test_a_known_category_comes_with_its_children(self, cat_id: str, children: Any) -> None:
        query = hot(cat_id=cat_id)
        built = build(query, record(query.identity, {"list": [1]}))
        assert body_of(built)["data"] == {"list": [1], "secondaryCategories": children}

    def test_all_categories_have_no_parent(self) -> None:
        query = hot(cat_id="")
        assert (
            "secondaryCategories" not in body_of(build(query, record(query.identity, {"list": [1]})))["data"]
        )

    def test_what_is_due_is_wanted(self) -> None:
        built = build(hot(), record(hot().identity, {"list": [1]}, fresh=timedelta(0)))
        assert built.to_collect == [hot().start]
        assert not built.is_incomplete

    def test_nothing_stored(self) -> None:
        assert build_figures(hot(), [], now=NOW) is None

    def test_what_is_not_kept_any_more_is_not_served(self) -> None:
        """MongoDB deletes it only up to a minute later."""
        assert build_figures(hot(), [record(hot().identity, {}, kept=timedelta(0))], now=NOW) is None

    def test_nothing_is_said_to_be_nothing(self) -> None:
        built = build(hot(), record(hot().identity, empty_reason="empty_list"))
        assert body_of(built) == {"success": True, "data": None, "message": "empty: empty_list"}
        assert dict(built.entry.headers) == {FRESHNESS_HEADER: "empty"}


class TestTrends:
    query = trend("202501", "202503")

    def documents(self, *, holes: str = "", empty: str = "", **facts: Any) -> list[dict[str, Any]]:
        return [
            record(
                self.query.record_id(period),
                None if period.key in empty else {"timest": period.dashed},
                empty_reason="missing_point" if period.key in empty else "",
                **facts,
            )
            for period in reversed(self.query.periods)
            if period.key not in holes
        ]

    def test_points_come_in_the_order_of_their_periods(self) -> None:
        built = build(self.query, *self.documents())
        assert [point["timest"] for point in body_of(built)["data"]] == ["2025-01", "2025-02", "2025-03"]
        assert (built.to_collect, dict(built.entry.headers)) == ([], {})

    def test_points_of_other_ranges_stay_out(self) -> None:
        other = trend("202412", "202412")
        built = build(self.query, *self.documents(), record(other.record_ids[0], {"timest": "2024-12"}))
        assert len(body_of(built)["data"]) == 3

    @pytest.mark.parametrize("hole", ["202501", "202502", "202503"])
    def test_a_missing_point_is_told_and_wanted(self, hole: str) -> None:
        built = build(self.query, *self.documents(holes=hole))
        assert built.is_incomplete
        assert [period.key for period in built.to_collect] == [hole]
        assert dict(built.entry.headers) == {PARTIAL_HEADER: "3,2"}
        assert not built.entry.is_fresh(unix(NOW))

    def test_an_empty_point_is_told_and_believed(self) -> None:
        built = build(self.query, *self.documents(empty="202502"))
        assert (built.is_incomplete, built.to_collect) == (False, [])
        assert dict(built.entry.headers) == {PARTIAL_HEADER: "3,2"}
        assert [point["timest"] for point in body_of(built)["data"]] == ["2025-01", "2025-03"]

    def test_an_empty_point_is_asked_again_when_it_is_due(self) -> None:
        documents = self.documents(empty="202502")
        documents[1]["fresh_until"] = NOW
        built = build(self.query, *documents)
        assert [period.key for period in built.to_collect] == ["202502"]

    def test_no_point_at_all_is_empty(self) -> None:
        built = build(self.query, *self.documents(empty="202501 202502 202503"))
        assert body_of(built)["data"] is None
        assert dict(built.entry.headers) == {FRESHNESS_HEADER: "empty", PARTIAL_HEADER: "3,0"}

    def test_empty_points_say_nothing_about_those_not_requested(self) -> None:
        documents = self.documents(empty="202501", holes="202502 202503")
        assert build_figures(self.query, documents, now=NOW) is None

    def test_the_answer_is_as_old_as_its_oldest_point_and_fresh_as_long_as_all_are(self) -> None:
        documents = self.documents()
        documents[0] |= {"collected_at": NOW - timedelta(days=3), "expired_at": NOW + timedelta(minutes=1)}
        documents[1] |= {"fresh_until": NOW + timedelta(minutes=2)}
        entry = build(self.query, *documents).entry
        assert entry.stored_at == unix(NOW - timedelta(days=3))
        assert entry.serve_until == unix(NOW + timedelta(minutes=1))
        assert entry.fresh_until == unix(NOW + timedelta(minutes=2))

    def test_a_trend_has_no_children(self) -> None:
        query = trend("202501", "202501", cat_id="1000")
        built = build(query, record(query.record_ids[0], {"timest": "2025-01"}))
        assert body_of(built)["data"] == [{"timest": "2025-01"}]


def test_equal_answers_are_equal_to_the_byte() -> None:
    first = build(hot(), record(hot().identity, {"list": [1]}))
    later = build(hot(), record(hot().identity, {"list": [1]}, collected=timedelta(0)))
    assert (first.entry.body, first.entry.etag) == (later.entry.body, later.entry.etag)
