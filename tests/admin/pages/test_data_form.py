"""The form of the data page: what it shows at first, what it keeps, and the periods it converts."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from apps.core import market_clock
from apps.core.caching.tiers import clear_all
from apps.core.periods import Granularity, Period, period_of, previous_closed_period
from tests.admin.pages.test_data import EXPORT, HOT, PAGE, TREND, text, view_query
from tests.mengla.support import change_records, collections, hot, points, store, store_empty, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]


def heading(page: str) -> str:
    (found,) = re.findall(r'<h2 id="title-(?:fresh|miss|unknown)">([^<]*)</h2>', page)
    return unescape(found)


def control(page: str, name: str) -> str:
    """The tag of a control of the form."""
    (found,) = re.findall(rf'<(?:input|select)(?![^>]*hidden)[^>]* name="{name}"[^>]*>', page)
    return str(found)


def kept(page: str) -> dict[str, str]:
    """What the form sends without a control."""
    (found,) = re.findall(r"<span hidden data-kept>(.*?)</span>", page, re.DOTALL)
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', found))


def value(page: str, name: str) -> str:
    """What a control of the form would send."""
    if found := re.findall(rf'<select[^>]* name="{name}"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.findall(r"<option([^>]*)>([^<]*)", found[0])
        given, shown = next((one for one in chosen if " selected" in one[0]), chosen[0])
        return unescape((re.findall(r'value="([^"]*)"', given) or [shown])[0])
    return unescape((re.findall(r' value="([^"]*)"', control(page, name)) or [""])[0])


def fault(page: str, name: str) -> str:
    """The text that the control names as its description."""
    tag = control(page, name)
    assert 'aria-invalid="true"' in tag
    (described,) = re.findall(r'aria-describedby="([^"]+)"', tag)
    (told,) = re.findall(rf'id="{described}">([^<]+)<', page)
    return unescape(told)


def steps(page: str) -> dict[str, str]:
    return {rel: unescape(address) for rel, address in re.findall(r'rel="(prev|next)" href="([^"]+)"', page)}


# --- What is shown at first ------------------------------------------------------------------------


def test_the_newest_stored_figures_are_shown_at_once(site: Client) -> None:
    store(hot("202505", cat_id="1000"))
    store(hot("202504", cat_id="2000"))
    store(hot("202506", cat_id="1001"))  # no schedule collects level 2
    store_empty(hot("202507", cat_id="1000"))
    clear_all()
    before = len(collections())
    page = text(site.get(PAGE))
    assert heading(page).startswith("Best sellers, ")
    assert heading(page).endswith(", 2025-04")
    assert (value(page, "category"), value(page, "action"), value(page, "period")) == ("2000", "hot", "")
    assert "data-table" in page
    assert "Recently stored" in page
    assert len(collections()) == before


def test_old_periods_that_are_stored_later_are_not_the_newest(site: Client) -> None:
    store(hot("202504", cat_id="2000"))
    store(hot("202412", cat_id="2000"))
    assert heading(text(site.get(PAGE))).endswith(", 2025-04")


def test_final_figures_come_before_provisional_ones(site: Client) -> None:
    store(hot("202504", cat_id="2000"))
    current = period_of(market_clock.today(), Granularity.MONTH)
    store(hot(current.key, cat_id="1000"))
    assert heading(text(site.get(PAGE))).endswith(", 2025-04")


def test_a_trend_is_shown_with_its_range_and_collects_nothing(site: Client) -> None:
    store(trend("202505", "202506", cat_id="1000"), points(p202505=5, p202506=6))
    before = len(collections())
    page = text(site.get(PAGE))
    assert heading(page).endswith(", 2024-07 to 2025-06")
    assert "2 of 12 periods have figures" in page
    assert len(collections()) == before


def test_an_empty_installation_shows_the_form(site: Client) -> None:
    page = text(site.get(PAGE))
    assert value(page, "category") == "1000"  # not all together, which no schedule collects
    assert "All categories together (no schedule collects them)" in page
    assert collections() == []


def test_a_blank_period_is_the_newest_stored_one(site: Client) -> None:
    store(hot("202412", cat_id="1002"))
    store(hot("202502", cat_id="1002"))
    store(hot("202501", cat_id="1002"))
    store(hot("202506", cat_id="1001"))
    before = len(collections())
    page = text(site.get(PAGE, HOT | {"category": "1002", "period": ""}))
    assert heading(page).endswith(", 2025-02")
    assert value(page, "period") == ""  # so that the next category has its own
    page = text(site.get(PAGE, HOT | {"period": ""}))
    assert heading(page).endswith(", 2025-06")
    assert len(collections()) == before


@pytest.mark.parametrize("change", [{"variant": "x"}, {"is_empty": True}, {"expired_at": None}])
def test_what_cannot_be_shown_is_not_the_newest(site: Client, change: dict[str, Any]) -> None:
    store(hot("202501"))
    store(hot("202502"))
    if "expired_at" in change:
        change = {"expired_at": market_clock.midnight(parse_day("20250101"))}
    change_records(hot("202502"), **change)
    assert heading(text(site.get(PAGE, HOT | {"period": ""}))).endswith(", 2025-01")


def parse_day(key: str) -> Any:
    return Period(Granularity.DAY, key).first_day


def test_a_blank_period_is_else_the_latest_complete_one(site: Client) -> None:
    page = text(site.get(PAGE, HOT | {"period": ""}))
    latest = previous_closed_period(market_clock.today(), Granularity.MONTH)
    assert heading(page).endswith(f", {latest.dashed}")
    assert "are being collected" in page
    assert "Figures that are not stored are collected" in page


# --- What is typed stays ---------------------------------------------------------------------------


def test_a_fault_keeps_everything_else(site: Client) -> None:
    given = HOT | {"period": "2025-13", "also": ["1002", "2001"], "compare": "year", "granularity": "quarter"}
    response = site.get(PAGE, given)
    page = response.content.decode()
    assert response.status_code == 400
    assert [value(page, name) for name in ("action", "category", "granularity", "period")] == [
        "hot",
        "1001",
        "quarter",
        "2025-13",
    ]
    assert re.findall(r'name="also" value="(\d+)" checked', page) == ["1002", "2001"]
    assert '<input type="hidden" name="compare" value="year">' in page
    assert "2025-13" in fault(page, "period")
    assert collections() == []


def test_all_faults_are_told_at_once(site: Client) -> None:
    given = {"action": "best", "granularity": "week", "category": "77", "period": "x", "also": ["88"]}
    response = site.get(PAGE, given | {"nothing": "1"})
    page = response.content.decode()
    assert response.status_code == 400
    (summary,) = re.findall(r'role="alert">([^<]+)<', page)
    for name in ("action", "granularity", "category", "period"):
        assert value(page, name) == given[name]
        assert fault(page, name) in unescape(summary)
    assert "There is no such category: 88." in page
    assert "nothing" in summary
    assert "industryTrendRange" in summary  # its end is no name of a parameter


def test_both_ends_of_a_range_are_told(site: Client) -> None:
    page = site.get(PAGE, TREND | {"granularity": "month", "from": "2025-00", "to": "later"}).content.decode()
    assert "2025-00" in fault(page, "from")
    assert "later" in fault(page, "to")
    page = site.get(PAGE, TREND | {"from": "2025-06", "to": "2025-01"}).content.decode()
    assert fault(page, "from") == "Must not be after Trend to."
    assert (value(page, "from"), value(page, "to")) == ("2025-06", "2025-01")


@pytest.mark.parametrize(
    "also", [["1002", "2001", "2002", "1000", "2000", "1001"], ["$ne"], ["\x00"], ["9" * 500], ["<script>"]]
)
def test_further_categories_that_are_wrong(site: Client, also: list[str]) -> None:
    response = site.get(PAGE, HOT | {"also": also})
    assert response.status_code == 400
    assert "<script>alert" not in response.content.decode()
    assert 'id="fault-also"' in response.content.decode()
    assert collections() == []


def test_further_categories_may_be_blank_or_named(site: Client) -> None:
    store(hot())
    page = text(site.get(PAGE, HOT | {"also": ["", "1002", "1002"]}))
    assert re.findall(r'name="also" value="(\d+)" checked', page) == ["1002"]


# --- Periods of another granularity ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "granularity", "shown"),
    [
        ("2025-06", "quarter", "2025-Q2"),
        ("2025-06", "year", "2025"),
        ("2025-06", "day", "2025-06-30"),
        ("2025-Q2", "month", "2025-06"),
        ("2025", "quarter", "2025-Q4"),
        ("2024", "day", "2024-12-31"),
        ("20250615", "month", "2025-06"),
        ("2000-01-01", "year", "2000"),
    ],
)
def test_a_period_of_another_granularity_is_converted(
    site: Client, typed: str, granularity: str, shown: str
) -> None:
    """It says so, and has nothing collected: that is a click away."""
    asked = {"action": "hot", "category": "1001", "granularity": granularity, "period": typed}
    page = text(site.get(PAGE, asked))
    assert heading(page).endswith(f", {shown}")
    assert value(page, "period") == shown
    assert f"The figures shown are those of {shown}." in page
    assert collections() == []
    (address,) = re.findall(r'<a class="cp-button" href="([^"]+)">Collect now', page)
    text(site.get(unescape(address)))
    (collection,) = collections()
    assert (collection["cat_id"], collection["granularity"]) == ("1001", granularity)


def test_the_current_period_becomes_the_newest_complete_one_inside(site: Client) -> None:
    today = market_clock.today()
    year = period_of(today, Granularity.YEAR)
    page = text(site.get(PAGE, HOT | {"period": year.dashed}))
    closed = previous_closed_period(today, Granularity.MONTH)
    wanted = closed if closed.first_day.year == today.year else period_of(year.first_day, Granularity.MONTH)
    assert heading(page).endswith(f", {wanted.dashed}")


def test_a_range_of_another_granularity_is_converted(site: Client) -> None:
    store(trend("202501", "202506"), points(p202501=5))
    page = text(site.get(PAGE, TREND | {"granularity": "month", "from": "2025-Q1", "to": "2025-Q2"}))
    assert heading(page).endswith(", 2025-01 to 2025-06")
    page = text(site.get(PAGE, TREND | {"granularity": "day", "from": "2020", "to": "2024"}))
    assert heading(page).endswith(", 2024-12-02 to 2024-12-31")  # it would have too many days
    # The first and the last day of a period name it, as they do in the API.
    page = text(site.get(PAGE, TREND | {"granularity": "month", "from": "2025-01-01", "to": "2025-06-30"}))
    assert "The figures shown are those" not in page


def test_a_trend_ends_with_a_single_period(site: Client) -> None:
    """As after a ranking of that period, when the data set is changed."""
    asked = HOT | {"action": "industryTrendRange", "period": "2025-06", "from": "", "to": ""}
    page = text(site.get(PAGE, asked))
    assert heading(page).endswith(", 2024-07 to 2025-06")
    assert site.get(PAGE, asked | {"period": "2025-13"}).status_code == 400


def test_a_file_of_a_converted_period_collects_nothing(site: Client) -> None:
    response = site.get(EXPORT, HOT | {"period": "2025-Q2", "format": "csv"})
    assert response.headers["Location"] == f"{PAGE}?action=hot&category=1001&granularity=month&period=202506"
    assert collections() == []


# --- Controls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granularity", "period", "kind"),
    [
        ("day", "2025-06-01", "date"),
        ("month", "2025-06", "month"),
        ("quarter", "2025-Q2", ""),
        ("year", "2025", ""),
    ],
)
def test_each_granularity_has_a_native_control(
    site: Client, granularity: str, period: str, kind: str
) -> None:
    page = text(site.get(PAGE, HOT | {"granularity": granularity, "period": period}))
    tag = control(page, "period")
    assert tag.startswith(f'<input id="period-period" name="period" type="{kind}"' if kind else "<select")
    assert value(page, "period") == period
    if not kind:
        (options,) = re.findall(r'<select id="period-period".*?</select>', page, re.DOTALL)
        years = (market_clock.today().year - 2000) * (4 if granularity == "quarter" else 1)
        assert options.count("<option") > years
        assert ">2000-Q1<" in options or ">2000<" in options


def test_the_form_offers_both_levels_by_all_their_names(site: Client) -> None:
    page = unescape(text(site.get(PAGE)))
    (options,) = re.findall(r'<select id="pick-category".*?</select>', page, re.DOTALL)
    assert re.findall(r'<option value="(\w+)"', options) == [
        "all",
        "1000",
        "1001",
        "1002",
        "2000",
        "2001",
        "2002",
    ]
    assert len(re.findall(r"<optgroup", options)) == 2
    assert len(re.findall(r"data-parent=", options)) == 4


def test_the_form_keeps_what_was_chosen_beside_the_figures(site: Client) -> None:
    store(hot())
    chosen = {"measure": "monthGmv", "sort": "-monthGmv", "table": "ranking", "top": "50"}
    page = text(site.get(PAGE, HOT | chosen | {"compare": "year"}))
    assert kept(page) == {"compare": "year", **chosen}
    # Another data set has no such measure, and shows its own.
    store(view_query())
    page = text(site.get(PAGE, HOT | {"action": "industryViewV2", "measure": "monthGmv"}))
    assert "data-table" in page
    # What is wrong and has no control in the form is not sent again: nobody could correct it.
    refused = site.get(PAGE, HOT | {"compare": "week", "top": "50"})
    assert (refused.status_code, kept(refused.content.decode())) == (400, {"top": "50"})
    brands = {"action": "industryViewV2", "period": "2025-13", "brand": "a"}
    refused = site.get(PAGE, HOT | brands)
    assert (refused.status_code, kept(refused.content.decode())) == (400, {"brand": "a"})


def test_earlier_and_later_periods(site: Client) -> None:
    store(view_query())
    links = steps(
        text(site.get(PAGE, HOT | {"action": "industryViewV2", "also": ["1002"], "compare": "year"}))
    )
    assert links["prev"].endswith("granularity=month&period=202505&compare=year&also=1002")
    assert "period=202507" in links["next"]
    links = steps(text(site.get(PAGE, TREND | {"granularity": "month"})))
    assert "from=202407&to=202412" in links["prev"]
    assert "from=202507&to=202512" in links["next"]
    year = period_of(market_clock.today(), Granularity.YEAR)
    ends = {"from": year.shift(-2).key, "to": year.shift(-1).key, "granularity": "year"}
    links = steps(text(site.get(PAGE, TREND | ends)))
    assert f"from={year.shift(-1).key}&to={year.key}" in links["next"]  # as far as periods have begun
    current = period_of(market_clock.today(), Granularity.MONTH)
    page = text(site.get(PAGE, HOT | {"period": current.dashed}))
    assert set(steps(page)) == {"prev"}
    assert "The next period has not begun." in page
    assert set(steps(text(site.get(PAGE, HOT | {"period": "2000-01"})))) == {"next"}
