"""The charts of the data page in a browser: the measure, all rows, a comparison; also on a telephone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from apps.core.periods import parse_period
from apps.mengla.choices import Action
from tests.browser.conftest import VIEWPORT, NewPage
from tests.browser.test_pages import english_of
from tests.integration.questions import CATEGORIES, Question
from tests.integration.stack import Stack

PHONE = {"width": 390, "height": 844}
NOTHING_STICKS_OUT = "() => document.documentElement.scrollWidth <= window.innerWidth"
CATEGORY, MONTH = CATEGORIES[0], "201805"
RANKING = f"/admin/data/?action=hot&category={CATEGORY}&granularity=month&period={MONTH}"
TREND = f"/admin/data/?action=industryTrendRange&category={CATEGORY}&granularity=month&from=201801&to=201806"


@pytest.fixture(scope="module", autouse=True)
def _figures(site: Stack) -> None:
    """Two rankings and two ranges of a trend."""
    before = parse_period(MONTH).previous().key
    for question in (
        Question(Action.HOT, CATEGORY, MONTH),
        Question(Action.HOT, CATEGORY, before),
        Question(Action.INDUSTRY_TREND, CATEGORY, "201806", start="201801"),
        Question(Action.INDUSTRY_TREND, CATEGORY, "201706", start="201701"),
        Question(Action.INDUSTRY_TREND, CATEGORIES[1], "201806", start="201801"),
    ):
        site.collect(question)


def drawn(page: Page, name: str) -> Any:
    """What Chart.js has drawn: the labels, and the names and numbers of the series."""
    return page.evaluate(
        """name => {
            const { data } = document.querySelector(`[data-chart=${name}]`).collectorChart;
            return { labels: data.labels, series: data.datasets.map((one) => [one.label, one.data]) };
        }""",
        name,
    )


def test_the_measure_and_the_rows_change_without_a_reload(look: NewPage) -> None:
    watched = look()
    page = watched.visit(RANKING)
    page.evaluate("window.isTheSamePage = true")
    first = drawn(page, "ranking")
    assert len(first["labels"]) == 20
    expect(page.locator("[data-rows=ranking]")).to_have_text(re.compile(r"^20 of \d\d rows, by Sales$"))
    expect(page.get_by_role("button", name="Draw")).to_be_hidden()
    measure = page.get_by_label("Measure")
    measure.focus()
    measure.select_option("monthGmv")
    expect(page.locator("[data-rows=ranking]")).to_contain_text("by Turnover, ₽")
    expect(measure).to_be_focused()
    second = drawn(page, "ranking")
    assert second["series"][0][0] == "Turnover, ₽"
    values = second["series"][0][1]
    assert values == sorted(values, reverse=True)
    assert "measure=monthGmv" in page.url
    # All rows are as high as they need; the card scrolls if they do not fit on the screen.
    page.get_by_label("Rows in the chart").select_option("all")
    total = page.locator("[data-table=ranking] tbody tr").count()
    expect(page.locator("[data-rows=ranking]")).to_contain_text(f"{total} of {total} rows")
    assert len(drawn(page, "ranking")["labels"]) == total > 20
    heights = page.locator(".cp-chart-scroll").first.evaluate("one => [one.scrollHeight, one.clientHeight]")
    assert heights[0] >= total * 22
    assert heights[1] <= 0.85 * VIEWPORT["height"]
    assert page.evaluate("window.isTheSamePage") is True
    # The address shows the same, and the browser leads back.
    page.go_back()
    expect(page.locator("[data-rows=ranking]")).to_contain_text("20 of")
    page.goto("about:blank")
    watched.visit(f"{RANKING}&measure=monthGmv")
    assert drawn(page, "ranking") == second


def test_a_comparison(look: NewPage) -> None:
    watched = look()
    page = watched.visit(RANKING)
    page.evaluate("window.isTheSamePage = true")
    page.get_by_label("Compare with").select_option("previous")
    comparison = page.locator("[data-table=ranking-comparison]")
    expect(comparison.locator("thead th")).to_have_text(
        ["Name", "2018-05", "2018-04", "Difference", "Change", "Compared with before"]
    )
    assert [name for name, _ in drawn(page, "ranking")["series"]] == ["2018-05", "2018-04"]
    rows = watched.rows_of(comparison)
    series = drawn(page, "ranking")["series"]
    assert [row[1].replace(",", "") for row in rows[:20]] == [
        "–" if value is None else str(value) for value in series[0][1]
    ]
    watched.check()
    page.locator("#title-compare").evaluate("one => one.scrollIntoView()")
    watched.screenshot("data-comparison")
    assert page.evaluate("window.isTheSamePage") is True
    # The filters and the links to other periods follow.
    expect(page.locator("[data-kept] input[name=compare]")).to_have_value("previous")
    assert "compare=previous" in str(page.locator(".cp-steps a[rel=prev]").get_attribute("href"))
    # Figures that are not stored are collected from a link only.
    page.get_by_label("Compare with").select_option("year")
    page.get_by_role("link", name="Collect and show 2017-05").click()
    expect(page.locator("[data-table=ranking] tbody tr").first).to_be_visible(timeout=60_000)


def test_a_trend_beside_the_year_before_and_another_category(look: NewPage) -> None:
    watched = look()
    page = watched.open(f"{TREND}&compare=year&also={CATEGORIES[1]}")
    series = drawn(page, "trend")["series"]
    assert len(series) == 3
    assert all(None not in numbers for _, numbers in series)
    dashes = page.evaluate(
        """() => document.querySelector('[data-chart=trend]').collectorChart.data.datasets
            .map((one) => one.borderDash.length > 0)"""
    )
    assert dashes == [False, True, True]
    page.locator("#title-compare").evaluate("one => one.scrollIntoView()")
    watched.screenshot("data-trend-comparison")


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_on_a_telephone(language: str, new_page: NewPage) -> None:
    watched = new_page(language=language)
    watched.page.set_viewport_size(PHONE)
    page = watched.open(f"{RANKING}&compare=previous&top=all")
    assert page.evaluate(NOTHING_STICKS_OUT)
    assert drawn(page, "ranking")["series"][1][1]
    if language == "zh-CN":
        assert english_of(page) == set()
        page.locator("#title-ranking").evaluate("one => one.scrollIntoView()")
        watched.screenshot("data-comparison-phone-zh-hans")
    watched.open(f"{TREND}&compare=year&measure=monthGmv")
    assert page.evaluate(NOTHING_STICKS_OUT)


def test_without_scripts(site: Stack, browser: Any, session: Any) -> None:
    with browser.new_context(java_script_enabled=False, storage_state=session, locale="en-US") as context:
        page = context.new_page()
        page.goto(f"{site.url}{RANKING}")
        page.get_by_label("Measure").select_option("monthGmv")
        page.get_by_role("button", name="Draw").click()
        expect(page.locator("[data-rows=ranking]")).to_contain_text("by Turnover, ₽")
        page.get_by_label("Compare with").select_option("previous")
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("[data-table=ranking-comparison]")).to_be_visible()
        assert "measure=monthGmv" in page.url
