"""What operators start and stop on the operations page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import Watched
from tests.browser.conftest import NewPage
from tests.browser.test_pages import english_of
from tests.integration.questions import CATEGORIES
from tests.integration.stack import Stack
from tests.integration.waiting import wait_until

OPERATIONS = "/admin/operations/"
PHONE = {"width": 390, "height": 844}
NOTHING_STICKS_OUT = "() => document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(autouse=True)
def _at_rest(site: Stack) -> Iterator[None]:
    yield
    site.reset()


def confirm(page: Page, link: str, button: str) -> None:
    """Follow the link of an operation, and press the button of the page that asks."""
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_url(f"**{OPERATIONS}")


def test_a_custom_collection_tells_its_cost_and_leads_to_its_run(new_page: NewPage, site: Stack) -> None:
    watched = new_page()
    page = watched.open(OPERATIONS)
    watched.screenshot("operations")
    work = page.locator("#work")
    for name in ("Rising", "Distribution", "Trend", "Blue-ocean ranking"):
        work.get_by_label(name, exact=True).uncheck()
    shown = work.locator(".cp-pick-list input[name=category]:visible")
    for typed in ("посуда кастрюли", "厨房与餐具 > 锅具"):  # the parent and the child, which is within it
        work.locator("[data-search]").fill(typed)
        assert [one.get_attribute("value") for one in shown.all()] == [CATEGORIES[0], "4201"]
    work.locator("[data-search]").fill(CATEGORIES[0])
    expect(shown.first).to_have_value(CATEGORIES[0])
    work.locator(f".cp-pick-list input[value='{CATEGORIES[0]}']").check()
    expect(work.locator("[data-count]")).to_have_text("1 selected.")
    assert work.locator("input[name=from]").get_attribute("type") == "month"
    work.locator("select[name=granularity]").select_option("quarter")
    work.locator("select[name=from]").select_option("2019-Q1")
    work.locator("select[name=to]").select_option("2019-Q3")
    page.get_by_role("button", name="Show the cost…").click()
    expect(page.locator("[data-count]").first).to_have_attribute("data-count", "3")
    expect(page.get_by_text("Start now? This queues 3 collections.")).to_be_visible()
    watched.check()
    watched.screenshot("operations-cost")
    assert site.database.sync_tasks.count_documents({"task_id": "backfill"}) == 0
    page.get_by_role("button", name="Start now").click()
    page.wait_for_url("**/admin/sync_tasks/synctask/*/change/**")
    run_id = page.url.split("/synctask/")[1].split("/")[0]
    watched.check()
    ended = {"run_ids": run_id, "status": {"$in": ["SUCCEEDED", "EMPTY"]}}
    wait_until(
        lambda: site.database.mengla_collections.count_documents(ended) == 3,
        timeout_seconds=30,
        what="the run has collected what its page told",
    )


def test_the_switches_ask_first_and_say_what_they_did(new_page: NewPage, site: Stack) -> None:
    watched = new_page()
    page = watched.visit(OPERATIONS)
    confirm(page, "Pause all…", "Pause all schedules")
    expect(page.locator("#schedules")).to_contain_text("All schedules are paused")
    confirm(page, "Resume all…", "Resume all schedules")
    expect(page.locator("#schedules")).not_to_contain_text("All schedules are paused")
    confirm(page, "Reset…", "Reset the breaker")
    expect(page.locator("#breaker")).to_contain_text("Closed")
    confirm(page, "Clear both…", "Clear both caches")
    expect(page.get_by_text("Cleared both caches (L1 and L2).")).to_be_visible()
    site.simulator.set_knobs(delay_seconds=5, concurrency=1)
    for question in site.questions.some(8):  # more than are sent at once; the task may have nothing to do
        site.ask(question)
    page.locator("form[data-task=mengla_single_day] button").click()
    page.wait_for_url("**/synctask/*/change/**")
    page = watched.visit(OPERATIONS)
    page.get_by_role("link", name="Cancel everything…").click()
    watched.check()
    expect(page.get_by_role("link", name="Go back")).to_be_visible()
    page.get_by_role("button", name="Cancel everything").click()
    page.wait_for_url(f"**{OPERATIONS}")
    expect(page.get_by_text("Cancelled all.", exact=False).first).to_be_visible()
    assert site.database.sync_tasks.count_documents({"status": "RUNNING"}) == 0


def test_on_a_phone_and_in_chinese(new_page: NewPage) -> None:
    watched: Watched = new_page(language="zh-CN")
    watched.page.set_viewport_size(PHONE)
    for path in ("", "collect/", "cancel-all/", "clear-caches/", "purge/", "warm-up/"):
        page = watched.open(f"{OPERATIONS}{path}")
        assert page.evaluate(NOTHING_STICKS_OUT), path
        assert english_of(page) == set(), path
    watched.visit(OPERATIONS)
    watched.screenshot("operations-phone-zh-hans")
