"""The collection service's wire format: parameters, webhook messages, unwrapping, trend points, hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.periods import Granularity, parse_period
from apps.mengla.choices import Action, EmptyReason
from apps.mengla.upstream.payloads import (
    LIST_KEYS,
    VIEW_LISTS,
    UnreadablePayload,
    UnstorablePayload,
    WebhookKind,
    build_parameters,
    canonical_json,
    data_hash,
    parse_webhook,
    split_trend_points,
    unwrap,
    variant_of,
)

CASES = {path.stem: path for path in sorted(Path(__file__).parents[2].joinpath("payloads").glob("*.json"))}

# Words the format uses, so that arbitrary JSON often comes close to it.
words = st.sampled_from(
    [
        *(*LIST_KEYS.values(), *VIEW_LISTS, "resultData", "data", "list", "code", "timest"),
        *("status", "success", "executionId", "execution_id", "error", "message", "errorMessage"),
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(lambda: 10**5000),  # too large to be shown: str() of it raises
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["0", "failed", "running", "500", "{}", "[]", "null", '{"data": 1}', "\ud800", "2025-06"]
    ),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(words, st.text(max_size=8)), inner, max_size=5)
    ),
    max_leaves=20,
)
json_objects = st.dictionaries(st.one_of(words, st.text(max_size=8)), json_values, max_size=6)


def load(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(CASES[name].read_text(encoding="utf-8"))
    return case


@pytest.mark.parametrize("name", CASES)
def test_a_captured_webhook_is_understood(name: str) -> None:
    case = load(name)
    expect = case["expect"]
    before = json.dumps(case["body"])

    message = parse_webhook(case["body"])

    assert (message.kind, message.execution_id, message.status) == (
        expect["kind"],
        expect["execution_id"],
        expect["status"],
    )
    assert message.error_message == expect.get("error_message")
    if message.kind == WebhookKind.RESULT:
        assert message.has_result_key is expect.get("has_result_key", True)
        if "unreadable" in expect:
            with pytest.raises(UnreadablePayload, match=expect["unreadable"]):
                unwrap(case["action"], message.result)
        else:
            unwrapped = unwrap(case["action"], message.result)
            assert unwrapped.data == expect["data"]
            assert unwrapped.empty_reason == expect.get("empty_reason")
            assert unwrapped.is_empty is ("empty_reason" in expect)
            if "detail" in expect:
                assert unwrapped.detail == expect["detail"]
    assert json.dumps(case["body"]) == before, "the body belongs to the caller and must stay as it was"


def test_the_captured_cases_cover_every_action_kind_and_empty_reason() -> None:
    cases = [load(name) for name in CASES]
    assert {case["action"] for case in cases} == set(Action.values)
    assert {case["expect"]["kind"] for case in cases} == set(WebhookKind)
    # missing_point is found by comparing a trend with the range asked for, not in the answer alone.
    reasons = {case["expect"]["empty_reason"] for case in cases if "empty_reason" in case["expect"]}
    assert reasons == set(EmptyReason.values) - {EmptyReason.MISSING_POINT}
    unreadable = {case["action"] for case in cases if "unreadable" in case["expect"]}
    assert unreadable == set(Action.values)


@pytest.mark.parametrize(
    ("action", "start", "end", "expected"),
    [
        ("high", "20250601", None, ("DAY", "2025-06-01", "2025-06-01", "2025-06-01")),
        ("hot", "202506", None, ("MONTH", "2025-06", "2025-06-01", "2025-06-30")),
        ("hot", "202402", None, ("MONTH", "2024-02", "2024-02-01", "2024-02-29")),
        ("chance", "2025Q2", None, ("QUARTERLY_FOR_YEAR", "2025-Q2", "2025-04-01", "2025-06-30")),
        ("high", "2025", None, ("YEAR", "2025", "2025-01-01", "2025-12-31")),
        ("industryViewV2", "20250601", None, ("DAY", "2025-06-01", "2025-06-01", "2025-06-01")),
        ("industryViewV2", "202506", None, ("MONTH", "2025-06", "2025-06-01", "2025-06-30")),
        ("industryViewV2", "2025Q2", None, ("QUARTERLY_FOR_YEAR", "2025-Q2", "2025-Q2", "2025-Q2")),
        ("industryViewV2", "2025", None, ("YEAR", "2025", "2025-01-01", "2025-12-31")),
        ("industryTrendRange", "20250601", "20250630", ("DAY", "2025-06-30", "2025-06-01", "2025-06-30")),
        ("industryTrendRange", "202501", "202506", ("MONTH", "2025-06", "2025-01", "2025-06")),
        ("industryTrendRange", "2024Q4", "2025Q2", ("QUARTERLY_FOR_YEAR", "2025-Q2", "2024-Q4", "2025-Q2")),
        ("industryTrendRange", "2023", "2025", ("YEAR", "2025", "2023", "2025")),
        ("industryTrendRange", "202506", "202506", ("MONTH", "2025-06", "2025-06", "2025-06")),
    ],
)
def test_the_parameters_are_in_the_form_of_the_service(
    action: str, start: str, end: str | None, expected: tuple[str, str, str, str]
) -> None:
    parameters = build_parameters(
        action=action,
        product_id="p1",
        cat_id="17027494",
        start=parse_period(start),
        end=parse_period(end or start),
        extra={},
    )
    date_type, timest, star_range, end_range = expected
    assert parameters == {
        "module": action,
        "product_id": "p1",
        "catId": "17027494",
        "dateType": date_type,
        "timest": timest,
        "starRange": star_range,
        "endRange": end_range,
    }
    assert type(parameters["module"]) is str


def build(start: str = "202506", end: str = "202506", **changes: Any) -> dict[str, object]:
    asked: dict[str, Any] = {"action": "high", "product_id": "", "cat_id": "", "extra": {}, **changes}
    return build_parameters(start=parse_period(start), end=parse_period(end), **asked)


def test_extra_is_added_to_the_parameters() -> None:
    assert build(extra={"shop": "s", "catid": 1}) == {**build(), "shop": "s", "catid": 1}


@pytest.mark.parametrize(
    "name", ["module", "product_id", "catId", "dateType", "timest", "starRange", "endRange"]
)
def test_extra_can_never_override_a_parameter(name: str) -> None:
    with pytest.raises(ValueError, match=f"extra may not set {name}"):
        build(extra={name: build()[name], "fine": 1})


@pytest.mark.parametrize(
    ("action", "start", "end"),
    [
        ("high", "202505", "202506"),  # would be stored as the figures of one of the months
        ("industryViewV2", "2025Q1", "2025Q2"),
        ("industryTrendRange", "202506", "202505"),
        ("industryTrendRange", "202501", "2025Q2"),
        ("industryView", "202506", "202506"),
    ],
)
def test_what_the_service_cannot_be_asked_is_refused(action: str, start: str, end: str) -> None:
    with pytest.raises(ValueError):
        build(start, end, action=action)


@pytest.mark.parametrize(
    ("body", "execution_id"),
    [
        ({"executionId": " e1 "}, "e1"),
        ({"executionId": None, "execution_id": "e2"}, "e2"),
        ({"data": {"execution_id": 7}}, "7"),
        ({"executionId": "outer", "data": {"executionId": "inner"}}, "outer"),
        ({"executionId": "", "data": {"executionId": "inner"}}, "inner"),
        ({"data": [{"executionId": "e"}]}, None),
        ({"executionId": True}, None),
        pytest.param({"executionId": 10**5000}, None, id="huge"),
        ({"executionId": 1.5}, None),
        ({"executionId": ["e"]}, None),
        ({"executionId": {"$ne": None}}, None),
        pytest.param({"executionId": f" {'e' * 200} "}, "e" * 128, id="long"),  # as it was noted
        ({"executionId": "e\x00"}, None),
        ({"executionId": "\ud800"}, None),
        ({"executionId": "   "}, None),
        ({}, None),
    ],
)
def test_the_execution_id_is_found_or_none(body: dict[str, Any], execution_id: str | None) -> None:
    assert parse_webhook(body).execution_id == execution_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (399, WebhookKind.RESULT),
        (400, WebhookKind.FAILURE),
        (599, WebhookKind.FAILURE),
        (600, WebhookKind.RESULT),
        (-500, WebhookKind.RESULT),
        (1718000000, WebhookKind.RESULT),
        pytest.param(10**5000, WebhookKind.RESULT, id="huge"),
        (float("nan"), WebhookKind.RESULT),
        (True, WebhookKind.RESULT),
        (False, WebhookKind.RESULT),
        ([500], WebhookKind.RESULT),
        ({"failed": 1}, WebhookKind.RESULT),
        ("٥٠٠", WebhookKind.RESULT),
        ("\ud800", WebhookKind.RESULT),
        ("TIME-OUT", WebhookKind.FAILURE),
        ("RuNNing", WebhookKind.HEARTBEAT),
        ("no longer running", WebhookKind.RESULT),
        pytest.param("x" * 1_000_000, WebhookKind.RESULT, id="long"),
    ],
)
def test_a_status_counts_only_when_its_meaning_is_clear(status: object, kind: WebhookKind) -> None:
    message = parse_webhook({"executionId": "e", "status": status, "resultData": {"highList": []}})
    assert message.kind == kind
    assert message.status is None or len(message.status) <= 60


def test_a_status_of_the_figures_is_not_the_execution_s() -> None:
    """Only an object with an execution id is a body inside ``data``; figures may have any field."""
    message = parse_webhook(
        {"executionId": "e", "data": {"status": "failed", "success": False, "highList": []}}
    )
    assert (message.kind, message.status) == (WebhookKind.RESULT, None)


def test_a_list_in_the_body_goes_before_an_empty_wrapper() -> None:
    body = {"executionId": "e", "data": None, "hotList": [{"monthSales": 1}]}
    assert unwrap("hot", parse_webhook(body).result).data == {"list": [{"monthSales": 1}]}


def test_an_error_message_can_always_be_stored() -> None:
    message = parse_webhook({"status": "failed", "error": "half \ud83d emoji"}).error_message
    assert message is not None
    assert message.encode() == b"half ? emoji"


def test_exactly_ten_wrappers_are_peeled() -> None:
    result: object = {"hotList": [{"monthSales": 1}]}
    for depth in range(10):
        result = {"data" if depth % 2 else "resultData": result}
    assert unwrap("hot", result).data == {"list": [{"monthSales": 1}]}
    with pytest.raises(UnreadablePayload):
        unwrap("hot", {"data": result})


def test_json_text_is_accepted_at_any_depth_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = json.dumps({"code": 0, "data": json.dumps({"list": [{"monthSales": 1}]})})
    result = {"data": json.dumps({"data": json.dumps({"highList": inner})})}
    assert unwrap("high", result).data == {"list": [{"monthSales": 1}]}
    monkeypatch.setattr("apps.mengla.upstream.payloads.MAX_JSON_TEXT_CHARACTERS", 20)
    with pytest.raises(UnreadablePayload, match="characters"):
        unwrap("high", result)


@pytest.mark.parametrize(
    "text", ["", "  ", "null null", "{", "NaN", '"text"', "12", "true", "\ud800", "[" * 5000]
)
def test_text_that_is_no_json_object_or_list_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadablePayload):
        unwrap("high", text)


def test_an_empty_answer_says_what_was_there_instead() -> None:
    empty = unwrap("high", {"error": "captcha", "url": "https://example.com", "\ud800": 1})
    assert empty.empty_reason == EmptyReason.MISSING_KEY
    assert empty.detail == "no highList; found: error, url, ?: captcha"
    assert unwrap("high", {"highList": {"code": 10**5000}}).detail == "code A number"


def test_an_unknown_action_is_no_payload_problem() -> None:
    with pytest.raises(ValueError, match="industryView") as caught:
        unwrap("industryView", {})
    assert not isinstance(caught.value, UnreadablePayload)


@pytest.mark.parametrize(
    ("granularity", "points"),
    [
        (Granularity.DAY, {"2025-06-01": "20250601", "20250602": "20250602"}),
        (Granularity.MONTH, {"2025-05": "202505", "2025-06-01": "202506", "2025-07-31": "202507"}),
        (Granularity.MONTH, {"2024-02-29": "202402", "2025-02-28": "202502"}),
        (Granularity.QUARTER, {"2025-Q1": "2025Q1", "2025-04-01": "2025Q2", "2025-09-30": "2025Q3"}),
        (Granularity.YEAR, {"2024": "2024", "2025-12-31": "2025"}),
        (Granularity.DAY, {20250601: "20250601", "2025-06-02 00:00:00": "20250602"}),
        # The market's day at the instant: Shanghai is eight hours ahead of UTC.
        (Granularity.DAY, {"2025-05-31T16:00:00.000Z": "20250601", "2025-06-01T23:59:59Z": "20250602"}),
        (Granularity.DAY, {"2025-06-01T00:00:00+08:00": "20250601", "20250602T00:00": "20250602"}),
        (Granularity.MONTH, {202505: "202505", "2025-06-01 00:00:00": "202506", 202507.0: "202507"}),
        (Granularity.MONTH, {"2025-06-30T23:59:59+0800": "202506", "2025-06-30T16:00:00Z": "202507"}),
        (Granularity.QUARTER, {20250401: "2025Q2", "2025-09-30 23:59": "2025Q3"}),
        (Granularity.YEAR, {2024: "2024", "2025-01-01T00:00:00": "2025"}),
    ],
)
def test_every_point_finds_its_period(granularity: Granularity, points: dict[Any, str]) -> None:
    rows = [{"timest": timest, "monthSales": number} for number, timest in enumerate(points)]
    assert split_trend_points(rows, granularity=granularity) == dict(zip(points.values(), rows, strict=True))


def test_of_two_points_of_one_period_the_last_wins() -> None:
    points = [{"timest": "2025-06", "monthSales": 1}, {"timest": "202506", "monthSales": 2}]
    assert split_trend_points(points, granularity=Granularity.MONTH) == {"202506": points[1]}


@pytest.mark.parametrize(
    "timest",
    [
        "2025-06-15",
        "2025-Q2",
        "2025",
        "2025-13",
        "06-2025",
        "",
        None,
        20250615,
        2025.5,
        True,
        ["2025-06"],
        "2025-06-15 00:00:00",
        "2025-06-01 25:00:00",
        "2025-06-01T",
        "2025-06-01 noon",
        "2025-06-30T16:00:00Z x",
        1748736000000,
        "\ud800",
        "2024-02-28",
    ],
)
def test_one_point_without_a_readable_period_makes_the_answer_unreadable(timest: object) -> None:
    points: list[dict[str, object]] = [{"timest": "2025-05"}, {"timest": timest}]
    with pytest.raises(UnreadablePayload, match="1 of 2 trend points have no readable month") as caught:
        split_trend_points(points, granularity=Granularity.MONTH)
    str(caught.value).encode()


def test_a_point_without_timest_or_that_is_no_object_is_unreadable() -> None:
    points: list[Any] = [{"monthSales": 1}, "2025-06", None]
    with pytest.raises(UnreadablePayload, match="3 of 3"):
        split_trend_points(points, granularity=Granularity.MONTH)


def test_the_order_of_keys_changes_neither_json_nor_hash() -> None:
    one, other = {"b": [1, {"d": 1, "c": "萌啦"}], "a": None}, {"a": None, "b": [1, {"c": "萌啦", "d": 1}]}
    assert canonical_json(one) == canonical_json(other) == '{"a":null,"b":[1,{"c":"萌啦","d":1}]}'.encode()
    assert data_hash(one) == data_hash(other)
    assert data_hash([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert data_hash([1, 2]) != data_hash([2, 1])


@pytest.mark.parametrize("value", [{"a": 2**64}, ["\ud800"], {1: 2}, {"a": object()}])
def test_what_json_cannot_hold_is_unstorable(value: object) -> None:
    with pytest.raises(UnstorablePayload):
        data_hash(value)


def test_the_variant_is_empty_without_product_and_extra() -> None:
    assert variant_of("", {}) == ""


def test_every_product_and_extra_has_its_own_variant() -> None:
    asked: list[tuple[str, dict[str, object]]] = [
        ("p1", {}),
        ("p2", {}),
        ("", {"shop": "p1"}),
        ("", {"product_id": "p1"}),
        ("p1", {"shop": "p1"}),
        ("", {"a": 1, "b": 2}),
        ("", {"a": 2, "b": 1}),
        ("", {"a": None}),
        ("", {"a": "1"}),
        ("", {"a": 1}),
    ]
    variants = [variant_of(product_id, extra) for product_id, extra in asked]
    assert len(set(variants)) == len(asked)
    assert all(len(variant) == 16 and set(variant) <= set("0123456789abcdef") for variant in variants)
    assert variant_of("", {"b": 2, "a": 1}) == variant_of("", {"a": 1, "b": 2})


@settings(deadline=None, max_examples=300)
@given(body=json_objects)
def test_no_json_object_makes_parse_webhook_raise(body: dict[str, Any]) -> None:
    message = parse_webhook(body)
    assert (message.error_message is not None) == (message.kind == WebhookKind.FAILURE)
    for text in (message.execution_id, message.status, message.error_message):
        assert text is None or 0 < len(text.encode()) <= 2000


@settings(deadline=None, max_examples=300)
@given(action=st.sampled_from(Action.values), result=json_values)
def test_unwrap_gives_rows_or_a_reason_or_is_unreadable(action: str, result: object) -> None:
    try:
        unwrapped = unwrap(action, result)
    except UnreadablePayload as error:
        str(error).encode()
        return
    assert (unwrapped.data is None) == unwrapped.is_empty
    (unwrapped.detail or "").encode()
    payload: Any = unwrapped.data
    if payload is not None:
        if action == Action.INDUSTRY_VIEW:
            rows = [row for key in VIEW_LISTS for row in payload[key]]
        else:
            rows = payload if action == Action.INDUSTRY_TREND else payload["list"]
        assert rows
        assert all(isinstance(row, dict) for row in rows)


@settings(deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), scalars, max_size=3), min_size=1, max_size=4),
    wrappers=st.lists(st.sampled_from(["resultData", "data"]), max_size=8),
    action=st.sampled_from(["high", "hot", "chance"]),
)
def test_wrappers_never_change_the_rows(rows: list[Any], wrappers: list[str], action: str) -> None:
    result: dict[str, Any] = {LIST_KEYS[Action(action)]: {"code": 0, "data": {"list": rows}}}
    for wrapper in wrappers:
        result = {wrapper: result}
    assert unwrap(action, parse_webhook({"executionId": "e", **result}).result).data == {"list": rows}


@settings(deadline=None)
@given(
    points=st.lists(st.dictionaries(st.text(max_size=5), scalars, max_size=3), max_size=4),
    timest=json_values,
    granularity=st.sampled_from(Granularity),
)
def test_splitting_gives_canonical_keys_or_is_unreadable(
    points: list[dict[str, Any]], timest: object, granularity: Granularity
) -> None:
    try:
        placed = split_trend_points([*points, {"timest": timest}], granularity=granularity)
    except UnreadablePayload as error:
        str(error).encode()
        return
    assert all(parse_period(key, granularity).key == key for key in placed)
