"""From the parameters of a request to the question it asks: nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.parameters import (
    MAX_EXTRA_BYTES,
    MAX_PERIODS,
    RESERVED_PARAMETERS,
    build_query,
    build_record_filter,
)

TREND = Action.INDUSTRY_TREND.value
TEXTS = ("action", "cat_id", "date_type", "timest", "start_range", "end_range")


def build(**parameters: Any) -> DataQuery:
    return build_query(**{"action": "hot", "timest": "2025-06", **parameters})


def wrong_field(**parameters: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        build(**parameters)
    assert caught.value.fields is not None
    ((field, messages),) = caught.value.fields.items()
    assert messages and all(messages)
    return field


def keys(query: DataQuery) -> tuple[str, str]:
    return query.start.key, query.end.key


class TestPeriods:
    @pytest.mark.parametrize(
        ("timest", "granularity", "key"),
        [
            ("2025-06-01", Granularity.DAY, "20250601"),
            ("20250601", Granularity.DAY, "20250601"),
            ("2025-06", Granularity.MONTH, "202506"),
            ("202506", Granularity.MONTH, "202506"),
            ("2025-Q2", Granularity.QUARTER, "2025Q2"),
            ("2025q2", Granularity.QUARTER, "2025Q2"),
            ("2025", Granularity.YEAR, "2025"),
        ],
    )
    def test_the_form_says_the_granularity(self, timest: str, granularity: Granularity, key: str) -> None:
        query = build(timest=timest)
        assert (query.granularity, *keys(query)) == (granularity, key, key)

    @pytest.mark.parametrize("date_type", ["month", "MONTH", "Month"])
    def test_the_granularity_may_be_said(self, date_type: str) -> None:
        assert build(date_type=date_type) == build()

    def test_a_quarter_has_the_name_of_the_service_too(self) -> None:
        assert build(date_type="QUARTERLY_FOR_YEAR", timest="2025Q2") == build(timest="2025-Q2")

    @pytest.mark.parametrize(
        "timest",
        [
            *("2025-13", "2025-00", "2025-6", "202513", "20250230", "2025-02-30", "2025-06-31"),
            *("2025-Q5", "2025-Q0", "2025Q", "Q2-2025", "2025-1", "25-06", "20256", "202506010"),
            *("1999", "2100", "1900-01-01", "0000-01-01", "9999-12-31", "-2025", "2025 06"),
            *(
                "today",
                "null",
                "2025-06-01T00:00:00",
                "٢٠٢٥",
                "２０２５",
                "2025/06",
                "2025-06-01-01",
                "x" * 64,
            ),
        ],
    )
    @pytest.mark.parametrize("action", ["hot", TREND])
    def test_an_unreadable_period_is_an_error(self, timest: str, action: str) -> None:
        assert wrong_field(action=action, timest=timest) == "timest"

    @pytest.mark.parametrize("action", list(Action))
    def test_a_missing_period_is_an_error(self, action: str) -> None:
        assert wrong_field(action=action, timest="") == "timest"

    @pytest.mark.parametrize(
        ("date_type", "timest"),
        [("month", "2025-06-01"), ("day", "2025-06"), ("year", "2025-Q2"), ("quarter", "2025-04")],
    )
    def test_a_period_of_another_granularity_is_an_error(self, date_type: str, timest: str) -> None:
        assert wrong_field(date_type=date_type, timest=timest) == "timest"

    @pytest.mark.parametrize("date_type", ["week", "hour", "days", "дни", "0", "monthly", "QUARTERLY"])
    def test_an_unknown_granularity_is_an_error(self, date_type: str) -> None:
        assert wrong_field(date_type=date_type) == "dateType"


class TestSinglePeriods:
    @pytest.mark.parametrize("action", ["high", "hot", "chance", "industryViewV2"])
    def test_a_range_may_repeat_the_period(self, action: str) -> None:
        query = build(action=action)
        for start, end in [("2025-06", "2025-06"), ("2025-06-01", "2025-06-30"), ("202506", "")]:
            assert build(action=action, start_range=start, end_range=end) == query

    @pytest.mark.parametrize(
        ("start", "end", "field"),
        [
            ("2025-05", "2025-06", "starRange"),
            ("2025-06", "2025-07", "endRange"),
            ("2025-06-02", "2025-06-30", "starRange"),
            ("2025-06-01", "2025-06-29", "endRange"),
            ("2024-06-01", "2024-06-30", "starRange"),
            ("nonsense", "", "starRange"),
            ("", "2025-06-31", "endRange"),
        ],
    )
    def test_any_other_range_is_an_error(self, start: str, end: str, field: str) -> None:
        assert wrong_field(start_range=start, end_range=end) == field


class TestTrends:
    def test_by_one_period_alone(self) -> None:
        assert keys(build(action=TREND, timest="2025-06-01")) == ("20250601", "20250601")

    @pytest.mark.parametrize(
        ("start", "end"),
        [("2025-06-01", "2025-06-10"), ("20250601", "20250610"), ("2025-06-01", "20250610")],
    )
    def test_spellings_of_one_range_are_one_question(self, start: str, end: str) -> None:
        query = build(action=TREND, timest="", date_type="day", start_range=start, end_range=end)
        assert query.identity == "industryTrendRange:all:day:20250601~20250610"

    def test_the_range_says_the_granularity(self) -> None:
        query = build(action=TREND, timest="", start_range="2024-Q4", end_range="2025-Q2")
        assert [period.key for period in query.periods] == ["2024Q4", "2025Q1", "2025Q2"]

    @pytest.mark.parametrize(
        ("date_type", "start", "end", "expected"),
        [
            ("month", "2025-01-01", "2025-06-30", ("202501", "202506")),
            ("month", "2024-02-01", "2024-02-29", ("202402", "202402")),
            ("quarter", "2025-01-01", "2025-06-30", ("2025Q1", "2025Q2")),
            ("year", "2024-01-01", "2025-12-31", ("2024", "2025")),
        ],
    )
    def test_real_first_and_last_days_are_the_right_periods(
        self, date_type: str, start: str, end: str, expected: tuple[str, str]
    ) -> None:
        query = build(action=TREND, timest="", date_type=date_type, start_range=start, end_range=end)
        assert keys(query) == expected

    @pytest.mark.parametrize(
        ("start", "end", "field"),
        [
            ("2025-01-02", "2025-06-30", "starRange"),
            ("2025-01-01", "2025-06-29", "endRange"),
            ("2025-02-01", "2025-02-29", "endRange"),
            ("2025-01-31", "2025-06-30", "starRange"),
            ("2025-01-01", "2025-06-01", "endRange"),
        ],
    )
    def test_other_days_are_an_error_and_never_other_months(self, start: str, end: str, field: str) -> None:
        assert (
            wrong_field(action=TREND, timest="", date_type="month", start_range=start, end_range=end) == field
        )

    @pytest.mark.parametrize("timest", ["2025-06-30", "2025-06-01"])
    def test_a_month_trend_named_by_a_day_is_an_error(self, timest: str) -> None:
        parameters = {"date_type": "month", "start_range": "2025-01-01", "end_range": "2025-06-30"}
        assert wrong_field(action=TREND, timest=timest, **parameters) == "timest"

    def test_the_period_may_lie_in_the_range(self) -> None:
        assert keys(build(action=TREND, start_range="2025-01", end_range="2025-12")) == ("202501", "202512")

    @pytest.mark.parametrize("timest", ["2024-12", "2026-01"])
    def test_the_period_may_not_lie_outside(self, timest: str) -> None:
        assert (
            wrong_field(action=TREND, timest=timest, start_range="2025-01", end_range="2025-12") == "timest"
        )

    def test_the_period_is_the_end_when_only_the_start_is_given(self) -> None:
        assert keys(build(action=TREND, start_range="2025-01")) == ("202501", "202506")

    @pytest.mark.parametrize(
        ("parameters", "field"),
        [
            ({"start_range": "2025-06", "end_range": "2025-01"}, "starRange"),
            ({"start_range": "2025-07"}, "starRange"),
            ({"start_range": "2025-02", "end_range": "2025-01", "timest": ""}, "starRange"),
            ({"end_range": "2025-06"}, "starRange"),
            ({"start_range": "2025-06", "timest": ""}, "endRange"),
            ({"start_range": "2025-Q1", "end_range": "2025-06", "timest": ""}, "endRange"),
            ({"start_range": "2025", "end_range": "2025-06", "timest": ""}, "endRange"),
            ({"start_range": "1900-01-01", "end_range": "2100-12-31", "timest": ""}, "starRange"),
            ({"start_range": "1900", "end_range": "2100", "timest": ""}, "starRange"),
            ({"start_range": "2000", "end_range": "2100", "timest": ""}, "endRange"),
            ({"start_range": "x", "end_range": "y", "timest": ""}, "starRange"),
            ({"start_range": "2025-06", "end_range": "y", "timest": ""}, "endRange"),
        ],
    )
    def test_no_range_at_all(self, parameters: dict[str, str], field: str) -> None:
        assert wrong_field(action=TREND, **parameters) == field

    def test_a_range_is_as_long_as_allowed_and_no_longer(self) -> None:
        last = parse_period("20200101").shift(MAX_PERIODS - 1)
        query = build(action=TREND, timest="", start_range="20200101", end_range=last.key)
        assert query.period_count == MAX_PERIODS == 1100
        assert (
            wrong_field(action=TREND, timest="", start_range="20200101", end_range=last.next().key)
            == "endRange"
        )


class TestActionsAndCategories:
    @pytest.mark.parametrize("action", ["", "HOT", "trend", "industryView", "hot ", "\x00", "热销"])
    def test_an_unknown_action_is_an_error(self, action: str) -> None:
        assert wrong_field(action=action) == "action"

    @pytest.mark.parametrize("cat_id", ["", "all"])
    def test_all_categories(self, cat_id: str) -> None:
        assert build(cat_id=cat_id).cat_id == ""

    @pytest.mark.parametrize("cat_id", ["abc", "1 ", "1:2", "*", "-1", "1.0", "٣", "1" * 17, "ALL", "null"])
    def test_what_can_be_no_category_is_an_error_of_the_named_field(self, cat_id: str) -> None:
        assert wrong_field(cat_id=cat_id) == "catId"
        assert wrong_field(cat_id=cat_id, cat_field="primaryCatId") == "primaryCatId"


def test_independent_errors_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        build(timest="2025-13", cat_id="x", cat_field="primaryCatId", product_id=" 5", extra={"timest": 1})
    assert set(caught.value.fields or ()) == {"timest", "primaryCatId", "product_id", "extra"}


class TestExtra:
    def test_is_passed_on(self) -> None:
        extra = {"a": 1, "b": [True, None, 1.5, {"c": "з"}], "-": -(2**63) + 1}
        query = build(extra=extra, product_id="p")
        assert query.service_parameters().items() >= {**extra, "product_id": "p"}.items()

    @pytest.mark.parametrize("text", ["a\x00", "a\x1b[31m", "\u202ea", "a\nb", "\ud800", "a\u200b"])
    def test_a_product_is_printable(self, text: str) -> None:
        assert wrong_field(product_id=text) == "product_id"

    def test_a_text_may_have_lines(self) -> None:
        assert build(extra={"a": "one\n\ttwo"}).extra == {"a": "one\n\ttwo"}

    @pytest.mark.parametrize("name", sorted(RESERVED_PARAMETERS))
    def test_may_not_change_what_is_asked(self, name: str) -> None:
        assert wrong_field(extra={name: "x"}) == "extra"

    @pytest.mark.parametrize(
        "extra",
        [
            {"a": 2**63},
            {"a": 10**30},
            {"a": float("inf")},
            {"a": float("nan")},
            {"a": "\ud800"},
            {"": 1},
            {"$where": 1},
            {"a": {"$ref": "x", "$id": 1}},
            {"a.b": 1},
            {"a\x00": 1},
            {"a\x1b": 1},
            {"a\u202e": 1},
            {"a\nb": 1},
            {"a": "\x00"},
            {"a": ["\x1b[31m"]},
            {"a": {"b": "\u202e"}},
            {"a": {1, 2}},
            {"a": [[[[[[1]]]]]]},
            {"a": {"a": {"a": {"a": {"a": {}}}}}},
            {"a": "x" * MAX_EXTRA_BYTES},
        ],
    )
    def test_what_cannot_be_kept_as_it_is_is_an_error(self, extra: dict[str, Any]) -> None:
        assert wrong_field(extra=extra) == "extra"

    def test_an_endless_nesting_is_an_error(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        assert wrong_field(extra={"a": endless}) == "extra"


@given(st.fixed_dictionaries({name: st.text(max_size=12) for name in TEXTS}))
def test_any_texts_give_a_question_or_an_explanation(parameters: dict[str, str]) -> None:
    try:
        query = build_query(**parameters)
    except InvalidInput as error:
        assert error.fields
    else:
        assert query.identity


@given(
    st.sampled_from([TREND, "hot"]),
    st.sampled_from(["", "day", "month", "quarter", "year"]),
    *[st.sampled_from(["", "2025", "2025-06", "202506", "2025-06-30", "20250101", "2025Q2", "2024-02"])] * 3,
)
def test_a_question_never_leaves_what_was_said(
    action: str, date_type: str, timest: str, start: str, end: str
) -> None:
    try:
        query = build_query(
            action=action, date_type=date_type, timest=timest, start_range=start, end_range=end
        )
    except InvalidInput:
        return
    assert not date_type or query.granularity == date_type
    if timest:
        period = parse_period(timest)
        assert query.start.first_day <= period.first_day <= period.last_day <= query.end.last_day
    for text, bound in ((start, query.start.first_day), (end, query.end.last_day)):
        if text:
            named = parse_period(text)
            assert bound in (named.first_day, named.last_day)


class TestRecordFilters:
    def build(self, **parameters: Any) -> dict[str, Any]:
        return build_record_filter({"limit": 50, **parameters})

    def test_nothing_is_filtered_by_default(self) -> None:
        assert {value for name, value in self.build().items() if name != "limit"} == {None}

    @pytest.mark.parametrize("cat_id", ["", "all"])
    def test_all_categories_is_a_filter(self, cat_id: str) -> None:
        assert self.build(catId=cat_id)["cat_id"] == ""

    @pytest.mark.parametrize("bound", ["from", "to"])
    def test_a_period_says_the_granularity(self, bound: str) -> None:
        assert self.build(**{bound: "2025-06"})["granularity"] == Granularity.MONTH

    @pytest.mark.parametrize(
        ("parameters", "field"),
        [
            ({"from": "2025-13"}, "from"),
            ({"to": "yesterday"}, "to"),
            ({"from": "2025-06", "to": "2025-05"}, "from"),
            ({"from": "2025-06", "to": "2025-06-30"}, "to"),
            ({"dateType": "day", "from": "2025-06"}, "from"),
            ({"dateType": "week"}, "dateType"),
            ({"catId": "x"}, "catId"),
        ],
    )
    def test_nonsense_is_an_error(self, parameters: dict[str, str], field: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            self.build(**parameters)
        assert list(caught.value.fields or {}) == [field]
