"""Periods: strict parsing, canonical keys, real dates and ranges. Pure: no database, no clock."""

from __future__ import annotations

import calendar
import copy
import pickle
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apps.core.errors import ErrorCode, InvalidInput
from apps.core.periods import (
    MAX_YEAR,
    MIN_YEAR,
    Granularity,
    Period,
    PeriodError,
    check_range,
    count_periods,
    parse_bound,
    parse_granularity,
    parse_period,
    parse_range,
    period_of,
    period_range,
    previous_closed_period,
)

DAY, MONTH, QUARTER, YEAR = Granularity

relaxed = settings(deadline=None)
granularities = st.sampled_from(Granularity)
days = st.dates(date(MIN_YEAR, 1, 1), date(MAX_YEAR, 12, 31))
inner_days = st.dates(date(MIN_YEAR + 10, 1, 1), date(MAX_YEAR - 10, 12, 31))
# Text that is nearly a period: the right characters in any order, and some look-alikes.
near_periods = st.text(alphabet="0123456789-Qq Q２٢\n_+/.", max_size=12)


@pytest.mark.parametrize(
    ("text", "granularity", "key", "dashed", "edges"),
    [
        ("20250601", DAY, "20250601", "2025-06-01", ("2025-06-01", "2025-06-01")),
        ("2025-06-01", DAY, "20250601", "2025-06-01", ("2025-06-01", "2025-06-01")),
        ("2024-02-29", DAY, "20240229", "2024-02-29", ("2024-02-29", "2024-02-29")),
        ("2000-02-29", DAY, "20000229", "2000-02-29", ("2000-02-29", "2000-02-29")),
        ("202506", MONTH, "202506", "2025-06", ("2025-06-01", "2025-06-30")),
        ("2025-06", MONTH, "202506", "2025-06", ("2025-06-01", "2025-06-30")),
        ("2024-02", MONTH, "202402", "2024-02", ("2024-02-01", "2024-02-29")),
        ("2025-02", MONTH, "202502", "2025-02", ("2025-02-01", "2025-02-28")),
        ("2025-12", MONTH, "202512", "2025-12", ("2025-12-01", "2025-12-31")),
        ("2025Q2", QUARTER, "2025Q2", "2025-Q2", ("2025-04-01", "2025-06-30")),
        ("2025-Q1", QUARTER, "2025Q1", "2025-Q1", ("2025-01-01", "2025-03-31")),
        ("2025q3", QUARTER, "2025Q3", "2025-Q3", ("2025-07-01", "2025-09-30")),
        ("2025-q4", QUARTER, "2025Q4", "2025-Q4", ("2025-10-01", "2025-12-31")),
        ("2025", YEAR, "2025", "2025", ("2025-01-01", "2025-12-31")),
        ("2000", YEAR, "2000", "2000", ("2000-01-01", "2000-12-31")),
        ("2099", YEAR, "2099", "2099", ("2099-01-01", "2099-12-31")),
    ],
)
def test_every_accepted_form(
    text: str, granularity: Granularity, key: str, dashed: str, edges: tuple[str, str]
) -> None:
    for period in (parse_period(text), parse_period(text, granularity)):
        assert (period.granularity, period.key, period.dashed) == (granularity, key, dashed)
        assert (period.first_day.isoformat(), period.last_day.isoformat()) == edges


BAD_TEXTS = [
    *("", " ", "2025 ", " 2025", "2025\n", "2025-06\n", "\t2025-06", "2025 06"),
    *(
        "2025-13",
        "2025-00",
        "202500",
        "202513",
        "20250230",
        "2025-02-29",
        "2025-06-31",
        "20250600",
        "20251301",
    ),
    *("2025-Q0", "2025-Q5", "2025Q", "Q22025", "2025-Q22", "2025QQ2", "2025-Q-2", "2025/Q2"),
    *("2025-0601", "202506-01", "2025-6", "2025-6-1", "2025-06-1", "2025--06", "2025-06-", "-2025", "+2025"),
    *("1999", "2100", "0000", "9999", "1999-12-31", "21000101", "1999Q4", "2100-01"),
    *("25", "205", "20255", "2025060", "202506011", "2025-06-01T00:00:00", "2025-06-01 00:00:00"),
    *("２０２５", "٢٠٢٥", "2025-０6", "2025Ｑ2", "2025\u201306", "2025_06", "2025.06", "2025/06/01"),
    *("today", "last", "None", "null", "NaN", "1e3", "0x7e9", "2025年", "\ud800", "\x00", "2025\x00"),
]


@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.parametrize("granularity", [None, *Granularity])
def test_anything_else_is_an_error(text: str, granularity: Granularity | None) -> None:
    with pytest.raises(PeriodError) as caught:
        parse_period(text, granularity)
    message = caught.value.message
    assert repr(text) in message
    assert "use" in message
    message.encode()
    assert "\n" not in message


@pytest.mark.parametrize(
    "value",
    [None, True, 2025, 202506, 20250601.0, 10**5000, b"2025", ["2025"], {"2025": 1}, date(2025, 1, 1)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_text_is_an_error(value: object) -> None:
    for granularity in (None, *Granularity):
        with pytest.raises(PeriodError, match=type(value).__name__):
            parse_period(value, granularity)
    for is_end in (False, True):
        with pytest.raises(PeriodError):
            parse_bound(value, MONTH, is_end=is_end)
    with pytest.raises(PeriodError):
        parse_granularity(value)


def test_the_error_is_a_validation_error_that_shows_little_of_a_long_text() -> None:
    with pytest.raises(PeriodError) as caught:
        parse_period("2025-06" * 100_000)
    error = caught.value
    assert isinstance(error, InvalidInput)
    assert error.code == ErrorCode.VALIDATION_ERROR
    assert len(error.message) < 250
    assert error.message.startswith("'2025-06")
    for form in ("2025-06-01", "20250601", "2025-06", "202506", "2025-Q2", "2025Q2", "2025"):
        assert form in error.message


@pytest.mark.parametrize("text", ["2025-06-01", "202506", "2025-Q2", "2025"])
def test_the_form_of_another_granularity_is_an_error(text: str) -> None:
    form = parse_period(text).granularity
    for granularity in set(Granularity) - {form}:
        with pytest.raises(PeriodError, match=f"'{text}' is a {form}, but a {granularity} is needed"):
            parse_period(text, granularity)


@pytest.mark.parametrize(
    ("text", "granularity"),
    [
        *(("day", DAY), ("DAY", DAY), ("Month", MONTH), ("quarter", QUARTER), ("year", YEAR)),
        *(("QUARTERLY_FOR_YEAR", QUARTER), ("quarterly_for_year", QUARTER), (Granularity.YEAR, YEAR)),
    ],
)
def test_granularities_are_read_in_any_case(text: str, granularity: Granularity) -> None:
    assert parse_granularity(text) is granularity


@pytest.mark.parametrize(
    "text", ["", " day", "day\n", "days", "week", "QUARTERLY", "mоnth", "\ud800", "d" * 9999]
)
def test_an_unknown_granularity_is_an_error_that_names_the_known(text: str) -> None:
    with pytest.raises(PeriodError, match="day, month, quarter, year") as caught:
        parse_granularity(text)
    assert len(caught.value.message.encode()) < 200
    assert caught.value.message.endswith("use one of day, month, quarter, year.")


@pytest.mark.parametrize(
    "key", ["2025-06", "202513", "2025", "2025Q2", "", " 202506", "199912", "２02506", None]
)
def test_a_period_cannot_be_built_with_another_key_than_its_own(key: str) -> None:
    with pytest.raises(PeriodError):
        Period(MONTH, key)


@pytest.mark.parametrize(
    ("text", "granularity", "is_end", "key"),
    [
        ("2025-06-01", MONTH, False, "202506"),
        ("20250630", MONTH, True, "202506"),
        ("2024-02-29", MONTH, True, "202402"),
        ("2025-04-01", QUARTER, False, "2025Q2"),
        ("2025-06-30", QUARTER, True, "2025Q2"),
        ("2025-01-01", YEAR, False, "2025"),
        ("2025-12-31", YEAR, True, "2025"),
        ("2025-06-15", DAY, False, "20250615"),
        ("2025-06-15", DAY, True, "20250615"),
        ("2025-06", MONTH, True, "202506"),
        ("2025q2", QUARTER, False, "2025Q2"),
        ("2025", YEAR, True, "2025"),
    ],
)
def test_a_bound_is_a_period_or_its_real_edge(
    text: str, granularity: Granularity, is_end: bool, key: str
) -> None:
    assert parse_bound(text, granularity, is_end=is_end) == Period(granularity, key)


@pytest.mark.parametrize(
    ("text", "granularity", "is_end"),
    [
        ("2025-06-01", MONTH, True),
        ("2025-06-30", MONTH, False),
        ("2025-06-15", MONTH, False),
        ("2024-02-28", MONTH, True),
        ("2025-05-01", QUARTER, False),
        ("2025-05-31", QUARTER, True),
        ("2025-12-30", YEAR, True),
        ("2025-01-02", YEAR, False),
        ("2025-06", QUARTER, False),
        ("2025-Q2", MONTH, False),
        ("2025", MONTH, False),
        ("2025-06", DAY, False),
        ("2025-02-30", MONTH, True),
        ("1999-12-31", YEAR, True),
        ("2025-06-01 ", MONTH, False),
    ],
)
def test_any_other_bound_is_an_error(text: str, granularity: Granularity, is_end: bool) -> None:
    with pytest.raises(PeriodError, match=re.escape(text.strip())):
        parse_bound(text, granularity, is_end=is_end)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2025-06-01", ("20250531", "202505", "2025Q1", "2024")),
        ("2025-01-01", ("20241231", "202412", "2024Q4", "2024")),
        ("2024-03-01", ("20240229", "202402", "2023Q4", "2023")),
        ("2025-12-31", ("20251230", "202511", "2025Q3", "2024")),
    ],
)
def test_the_previous_closed_period(today: str, expected: tuple[str, ...]) -> None:
    day = date.fromisoformat(today)
    assert tuple(previous_closed_period(day, granularity).key for granularity in Granularity) == expected


def test_an_instant_is_no_calendar_day() -> None:
    now = datetime(2025, 6, 1, tzinfo=UTC)
    with pytest.raises(TypeError, match="calendar day"):
        period_of(now, MONTH)


def test_periods_are_ordered_within_one_granularity_only() -> None:
    june, july = parse_period("202506"), parse_period("2025-07")
    assert june < july
    assert july > june
    assert june <= parse_period("2025-06")
    assert sorted([july, june]) == [june, july]
    assert parse_period("2025") != june
    with pytest.raises(TypeError):
        _ = june < parse_period("2025Q3")
    with pytest.raises(TypeError):
        _ = june < "202507"


def test_periods_are_values() -> None:
    june = parse_period("2025-06")
    assert {june: 1}[parse_period("202506")] == 1
    assert pickle.loads(pickle.dumps(june)) == copy.deepcopy(june) == june
    assert str(june) == "202506"
    with pytest.raises(AttributeError):
        june.key = "202507"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        ("2024-02-28", "2024-03-01", ["20240228", "20240229", "20240301"]),
        ("2025-02-28", "2025-03-01", ["20250228", "20250301"]),
        ("2024-11", "2025-02", ["202411", "202412", "202501", "202502"]),
        ("2024-Q3", "2025-Q1", ["2024Q3", "2024Q4", "2025Q1"]),
        ("2023", "2025", ["2023", "2024", "2025"]),
        ("2025", "2025", ["2025"]),
    ],
)
def test_ranges_include_both_ends(start: str, end: str, keys: list[str]) -> None:
    assert [period.key for period in period_range(parse_period(start), parse_period(end))] == keys


@pytest.mark.parametrize(
    ("start", "end", "granularity", "keys"),
    [
        ("2025-06", "202507", None, ("202506", "202507")),
        ("2025-Q1", "2025q1", None, ("2025Q1", "2025Q1")),
        ("2025-06-01", "2025-07-31", MONTH, ("202506", "202507")),
        ("2025-06", "2025-07-31", MONTH, ("202506", "202507")),
        ("2025-06-01", "20250630", Granularity.DAY, ("20250601", "20250630")),
    ],
)
def test_a_range_in_every_form(
    start: str, end: str, granularity: Granularity | None, keys: tuple[str, str]
) -> None:
    first, last = parse_range(start, end, granularity, names=("a", "b"), limit=30)
    assert (first.key, last.key) == keys


@pytest.mark.parametrize(
    ("start", "end", "granularity", "wrong", "message"),
    [
        ("2025-13", "2025-06", None, "a", "2025-13"),
        ("2025-06", "soon", None, "b", "soon"),
        # Without a granularity, days do not stand for the months around them.
        ("2025-06", "2025-06-30", None, "b", "is a day"),
        ("2025-06-02", "2025-06-30", MONTH, "a", "not the first day"),
        ("2025-06-01", "2025-06-29", MONTH, "b", "not the last day"),
        ("2025-06", "2025-05", None, "a", "Must not be after b."),
        ("2025-06", "2025-05", MONTH, "a", "Must not be after b."),
        ("2025-06-01", "2025-07-01", None, "b", "The range has more than 30 periods."),
        (None, "2025-06", None, "a", ""),
        ("2025-06", 202506, MONTH, "b", ""),
    ],
)
def test_a_range_that_is_none_names_the_end_that_is_wrong(
    start: object, end: object, granularity: Granularity | None, wrong: str, message: str
) -> None:
    with pytest.raises(PeriodError) as caught:
        parse_range(start, end, granularity, names=("a", "b"), limit=30)
    assert list(caught.value.fields or {}) == [wrong]
    assert message in (caught.value.fields or {})[wrong][0]
    with pytest.raises(PeriodError) as nameless:
        parse_range(start, end, granularity, limit=30)
    assert nameless.value.fields is None


def test_a_range_of_periods_is_checked_as_one_of_texts() -> None:
    june, day = parse_period("2025-06"), parse_period("2025-06-30")
    check_range(june, june.next(), names=("a", "b"), limit=2)
    for start, end in ((june, day), (june.next(), june), (june, june.shift(2))):
        for names in (None, ("a", "b")):
            with pytest.raises(PeriodError):
                check_range(start, end, names=names, limit=2)


def test_a_reversed_or_mixed_range_is_an_error() -> None:
    for start, end, message in (
        ("2025-06", "2025-05", "starts at 2025-06, after its end 2025-05"),
        ("2025-06", "2025-Q3", "the same granularity"),
        ("2025", "2025-06", "the same granularity"),
    ):
        with pytest.raises(PeriodError, match=message):
            count_periods(parse_period(start), parse_period(end))
        with pytest.raises(PeriodError, match=message):
            period_range(parse_period(start), parse_period(end))


def test_a_range_is_counted_without_being_built(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(period_range(parse_period("2025-01-01"), parse_period("2025-12-31"))) == 365
    monkeypatch.setattr("apps.core.periods._at_index", None)
    assert count_periods(parse_period("2000-01-01"), parse_period("2099-12-31")) == 36525


@pytest.mark.parametrize("granularity", Granularity)
def test_nothing_leaves_the_accepted_years(granularity: Granularity) -> None:
    first = period_of(date(MIN_YEAR, 1, 1), granularity)
    last = period_of(date(MAX_YEAR, 12, 31), granularity)
    for step in (first.previous, last.next, lambda: first.shift(10**9), lambda: last.shift(-(10**30))):
        with pytest.raises(PeriodError, match="outside the years"):
            step()
    assert first.shift(last.index - first.index) == last
    for day in (date(1999, 12, 31), date(2100, 1, 1), date.min, date.max):
        with pytest.raises(PeriodError):
            period_of(day, granularity)


@pytest.mark.parametrize("granularity", [MONTH, QUARTER, YEAR])
def test_the_whole_calendar_is_tiled(granularity: Granularity) -> None:
    start = period_of(date(MIN_YEAR, 1, 1), granularity)
    end = period_of(date(MAX_YEAR, 12, 31), granularity)
    tiles = period_range(start, end)
    assert tiles[0].first_day == date(MIN_YEAR, 1, 1)
    assert tiles[-1].last_day == date(MAX_YEAR, 12, 31)
    for tile, following in pairwise(tiles):
        assert tile.last_day + timedelta(days=1) == following.first_day
        assert tile < following


@relaxed
@given(day=days, granularity=granularities)
def test_a_period_round_trips_through_all_its_forms(day: date, granularity: Granularity) -> None:
    period = period_of(day, granularity)
    assert period.granularity is granularity
    forms = {period.key, period.dashed, period.key.lower(), period.dashed.lower()}
    for form in forms:
        assert parse_period(form) == parse_period(form, granularity) == period
        assert parse_bound(form, granularity, is_end=True) == period
    for edge, is_end in ((period.first_day, False), (period.last_day, True)):
        assert parse_bound(edge.isoformat(), granularity, is_end=is_end) == period
        assert period_of(edge, granularity) == period


@relaxed
@given(day=days, other=days, granularity=granularities)
def test_a_period_contains_exactly_its_days(day: date, other: date, granularity: Granularity) -> None:
    period = period_of(day, granularity)
    assert period.first_day <= day <= period.last_day
    assert (period.first_day <= other <= period.last_day) is (period_of(other, granularity) == period)
    length = (period.last_day - period.first_day).days + 1
    expected = {
        DAY: {1},
        MONTH: {calendar.monthrange(day.year, day.month)[1]},
        QUARTER: {90, 91, 92},
        YEAR: {366 if calendar.isleap(day.year) else 365},
    }
    assert length in expected[granularity]


@relaxed
@given(day=days, granularity=granularities, is_end=st.booleans())
def test_a_bound_never_stands_for_another_day(day: date, granularity: Granularity, is_end: bool) -> None:
    period = period_of(day, granularity)
    edge = period.last_day if is_end else period.first_day
    if day == edge:
        assert parse_bound(day.strftime("%Y%m%d"), granularity, is_end=is_end) == period
    else:
        with pytest.raises(PeriodError):
            parse_bound(day.strftime("%Y%m%d"), granularity, is_end=is_end)


@relaxed
@given(day=inner_days, granularity=granularities, count=st.integers(-10, 10), more=st.integers(-10, 10))
def test_shifts_are_arithmetic(day: date, granularity: Granularity, count: int, more: int) -> None:
    period = period_of(day, granularity)
    assume(MIN_YEAR + 20 < day.year < MAX_YEAR - 20 or granularity != YEAR)
    assert period.shift(0) == period
    assert period.shift(count).shift(-count) == period
    assert period.shift(count).shift(more) == period.shift(count + more)
    assert period.shift(count).index - period.index == count
    assert period.next().previous() == period.previous().next() == period
    assert (period < period.shift(count)) is (count > 0)


@relaxed
@given(start=days, length=st.integers(0, 400), granularity=granularities)
def test_ranges_tile_the_days_between(start: date, length: int, granularity: Granularity) -> None:
    end = min(start + timedelta(days=length), date(MAX_YEAR, 12, 31))
    first, last = period_of(start, granularity), period_of(end, granularity)
    tiles = period_range(first, last)
    assert len(tiles) == count_periods(first, last)
    assert (tiles[0], tiles[-1]) == (first, last)
    for tile, following in pairwise(tiles):
        assert tile.last_day + timedelta(days=1) == following.first_day
        assert tile.next() == following
    assert (
        sum((tile.last_day - tile.first_day).days + 1 for tile in tiles)
        == (last.last_day - first.first_day).days + 1
    )


@relaxed
@given(today=inner_days, granularity=granularities)
def test_a_closed_period_has_ended_and_is_the_newest_that_has(today: date, granularity: Granularity) -> None:
    closed = previous_closed_period(today, granularity)
    assert closed.last_day < today
    assert closed.next() == period_of(today, granularity)


@settings(deadline=None, max_examples=500)
@given(text=st.one_of(near_periods, st.text(max_size=12)), granularity=st.none() | granularities)
def test_text_that_parses_says_exactly_that_period(text: str, granularity: Granularity | None) -> None:
    try:
        period = parse_period(text, granularity)
    except PeriodError as error:
        error.message.encode()
        return
    assert text.replace("-", "").upper() == period.key
    assert text.upper() in {period.key, period.dashed}
    assert text.isascii()
    assert MIN_YEAR <= period.first_day.year <= MAX_YEAR
    assert granularity in {None, period.granularity}


@settings(deadline=None, max_examples=300)
@given(
    year=st.integers(1990, 2110),
    month=st.integers(0, 14),
    day=st.integers(0, 33),
    dash=st.sampled_from(["-", ""]),
)
def test_a_day_parses_exactly_when_the_calendar_has_it(year: int, month: int, day: int, dash: str) -> None:
    text = f"{year:04}{dash}{month:02}{dash}{day:02}"
    try:
        expected: date | None = date(year, month, day)
    except ValueError:
        expected = None
    if expected is None or not MIN_YEAR <= year <= MAX_YEAR:
        with pytest.raises(PeriodError):
            parse_period(text)
    else:
        assert parse_period(text, DAY).first_day == expected
