"""The coverage page in a browser: the overview, a map that follows, the panel of a cell; on a telephone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.chromium import Watched
from tests.browser.conftest import NewPage
from tests.browser.test_pages import english_of
from tests.integration.questions import CATEGORIES
from tests.integration.stack import Stack

MAP = "/admin/coverage/?action=chance&granularity=month"
FOLLOWED_MILLISECONDS = 60_000
PHONE = {"width": 390, "height": 844}
NOTHING_STICKS_OUT = "() => document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(autouse=True)
def _at_rest(site: Stack) -> Iterator[None]:
    yield
    site.reset()


def cell_of(watched: Watched, row: int, column: int) -> Locator:
    return watched.page.locator("#map tbody tr").nth(row).locator("td").nth(column)


def test_the_map_follows_a_fill_without_a_reload(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(delay_seconds=1.5, concurrency=1)
    page = watched.visit(f"{MAP}&from=2019-01&to=2019-03")
    expect(page.locator("#map td.M")).to_have_count(len(CATEGORIES) * 3)
    page.get_by_role("button", name="Fill…").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Fill now").click()
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator("[data-live-note]")).to_have_text("Updates automatically")
    expect(page.locator("#map td.F").first).to_be_visible(timeout=FOLLOWED_MILLISECONDS)
    assert page.locator("#map td.Q").count() > 0
    watched.screenshot("coverage-fill")
    watched.check()
    expect(page.locator("#map td.P")).to_have_count(len(CATEGORIES) * 3, timeout=FOLLOWED_MILLISECONDS)
    expect(page.locator("[data-legend=P]")).to_have_text(str(len(CATEGORIES) * 3))
    expect(page.locator("[data-summary]")).to_contain_text("A fill would collect 0.")
    expect(page.locator("[data-announce]")).to_contain_text("Nothing is queued or in flight any more.")
    assert page.evaluate("window.isTheSamePage") is True


def test_the_range_follows_the_granularity(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.visit(f"{MAP}&from=2019-01&to=2019-03")
    form = page.locator("form[data-periods]")
    form.locator("select[name=granularity]").select_option("quarter")
    for name in ("from", "to"):
        expect(form.locator(f"select[name={name}]")).to_have_value("2019-Q1")
    form.locator("select[name=to]").select_option("2019-Q3")
    form.get_by_role("combobox", name="Category").fill(CATEGORIES[1])
    page.keyboard.press("Enter")
    with page.expect_navigation():
        form.get_by_role("button", name="Show").click()
    expect(page.locator("#map thead th[data-period]")).to_have_count(3)
    assert f"parent={CATEGORIES[1]}" in page.url


def test_a_failed_cell_says_why_and_is_retried_with_the_keyboard(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(execute_error_rate=1, execute_status=400)
    page = watched.visit(f"{MAP}&from=2019-05&to=2019-06")
    page.evaluate("window.isTheSamePage = true")
    cell, dialog = cell_of(watched, 1, 0), page.locator("dialog#cell")
    cell_of(watched, 0, 0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("No record is stored.")
    assert page.url.endswith(f"#cell={CATEGORIES[1]}:201905")
    dialog.get_by_role("button", name="Collect now").press("Enter")
    # The panel and the map behind it follow.
    retry = dialog.get_by_role("button", name="Retry")
    expect(retry).to_be_visible(timeout=FOLLOWED_MILLISECONDS)
    expect(dialog).to_contain_text("The collection service rejected the request (4xx).")
    expect(dialog.get_by_role("heading", name="Last collections")).to_be_visible()
    expect(cell).to_have_class("X")
    watched.screenshot("coverage-cell")
    watched.check()
    site.simulator.reset_knobs()
    retry.press("Enter")
    expect(dialog).to_contain_text("Fresh until", timeout=FOLLOWED_MILLISECONDS)
    expect(cell).to_have_class("P")
    assert page.evaluate("window.isTheSamePage") is True
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(cell).to_be_focused()
    assert "#" not in page.url
    # The address of an open cell opens it again, and it has a page of its own.
    page.goto("about:blank")
    watched.visit(f"{MAP}&from=2019-05&to=2019-06#cell={CATEGORIES[1]}:201905")
    expect(dialog).to_contain_text("Fresh until")
    dialog.get_by_role("link", name="Link to this cell").click()
    page.wait_for_url("**/coverage/cell/**")
    watched.check()


def test_the_overview_leads_into_a_map(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.open("/admin/coverage/?granularity=month&from=2019-01&to=2019-06")
    shares = page.locator("[data-share^='chance:']")
    expect(shares).to_have_count(6)
    shares.first.get_by_role("link").click()
    expect(page.locator("#map tbody tr")).to_have_count(len(CATEGORIES))
    expect(page.locator("#map thead th")).to_have_text(["Category", "2019-01"])
    page.get_by_role("navigation", name="Back to").get_by_role("link", name="All data sets").click()
    expect(page.locator(".cp-overview tbody tr")).to_have_count(5)


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_on_a_telephone(language: str, new_page: NewPage, site: Stack) -> None:
    watched = new_page(language=language)
    watched.page.set_viewport_size(PHONE)
    for path in ("/admin/coverage/", f"{MAP}&from=2019-01&to=2019-12"):
        page = watched.open(path)
        page.wait_for_function(NOTHING_STICKS_OUT)
        # The closed filters leave the first screen to the figures, whose newest column is in sight.
        expect(page.locator("details.cp-filters form")).to_be_hidden()
        frame = page.locator(".cp-map-scroll")
        head, newest = frame.locator("tbody th").first, frame.locator("thead th").last
        expect(newest).to_be_in_viewport()
        left = head.evaluate("head => head.getBoundingClientRect().left")
        frame.evaluate("frame => { frame.scrollLeft = 0; }")
        # It stays where it is, but for the gap between two cells.
        assert abs(head.evaluate("head => head.getBoundingClientRect().left") - left) <= 1
        if language == "zh-CN":
            assert english_of(page) == set()
    expect(page.locator("#map tbody th").first).to_contain_text(CATEGORIES[0])
    cell_of(watched, 0, 11).click()
    expect(page.locator("dialog#cell h2")).to_contain_text(re.compile("2019-12"))
    page.wait_for_function(NOTHING_STICKS_OUT)
    watched.check()
    if language == "en-US":
        watched.screenshot("coverage-phone")
    if language == "zh-CN":
        assert english_of(page) == set()
