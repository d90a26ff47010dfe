"""The dashboard, the schedules and the diagnostics in a real browser, on a desk and on a phone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.admin_pages import model_admins
from tests.browser.chromium import Watched
from tests.browser.conftest import NewPage
from tests.browser.test_pages import english_of
from tests.integration.stack import Stack

PHONE: Any = {"width": 390, "height": 844}
LISTS = sorted(f"/admin/{one.opts.app_label}/{one.opts.model_name}/" for one in model_admins())
# What is wider than the screen, or cut off, outside of what is there to be scrolled.
WIDE = """() => {
    const width = document.documentElement.clientWidth, found = [];
    const scrolled = '.cp-scroll, .cp-sr, .collector-sr, .collector-scroll, canvas';
    if (document.documentElement.scrollWidth > width) found.push('the page');
    for (const one of document.querySelectorAll('#content *')) {
        const words = (one.innerText || '').trim().slice(0, 40), box = one.getBoundingClientRect();
        if (!words || box.width < 3 || !one.checkVisibility() || one.closest(scrolled)) continue;
        if (one.children.length === 0 && box.right > width + 1) found.push('wide: ' + words);
        const hides = getComputedStyle(one).overflowX === 'hidden';
        if (hides && one.scrollWidth > one.clientWidth + 1) found.push('cut: ' + words);
    }
    return [...new Set(found)];
}"""


def test_what_failed_is_on_the_first_screen_and_leads_to_its_list(new_page: NewPage, site: Stack) -> None:
    site.simulator.set_knobs(execute_error_rate=1, execute_status=400)
    try:
        watched = new_page(language="en-US")
        page = run_now(watched, "Yearly collection")
        expect(page.locator("[data-field=status]").first).not_to_contain_text("Running", timeout=60_000)
        watched.open("/admin/")
        entry = page.get_by_role("link", name="failed: The collection service rejected the request").first
        expect(entry).to_be_in_viewport()
        watched.screenshot("dashboard-attention")
        entry.click()
        page.wait_for_url(re.compile(r"/admin/mengla/collection/\?.*error_code=rejected"))
        assert page.locator("#result_list tbody tr").count() > 0
        chinese = new_page(language="zh-CN")
        page = chinese.open("/admin/")
        page.get_by_role("heading", name="需要关注").wait_for()
        chinese.screenshot("dashboard-zh-hans")
        assert english_of(page) == set()
        chinese.visit("/admin/diagnostics/")
        assert english_of(page) == set()
    finally:
        site.reset()


def test_a_schedule_is_run_and_paused_in_its_row_on_a_phone(watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size(PHONE)
    watched.open("/admin/")
    row = page.locator(".cp-card-schedules tr", has_text="Daily collection")
    for name in ("Run now", "Pause"):
        button = row.get_by_role("link", name=name)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    row.get_by_role("link", name="Pause").click()
    page.get_by_text("Pause Daily collection?").wait_for()
    page.get_by_role("button", name="Pause").click()
    watched.open("/admin/")
    page.get_by_role("link", name="Daily collection is paused").wait_for()
    page.locator(".cp-card-schedules tr", has_text="Daily collection").get_by_role(
        "link", name="Resume"
    ).click()
    page.get_by_role("button", name="Resume").click()
    watched.visit("/admin/")
    expect(page.get_by_text("Daily collection is paused")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(scheme: Any, watched: Watched) -> None:
    watched.page.set_viewport_size(PHONE)
    watched.page.emulate_media(color_scheme=scheme)
    wide = {}
    for path in ("/admin/", "/admin/diagnostics/", "/admin/data/", *(LISTS if scheme == "light" else ())):
        page = watched.visit(path)
        if found := page.evaluate(WIDE):
            wide[path] = found
    assert wide == {}
    watched.open("/admin/diagnostics/")
    watched.open("/admin/django_q/schedule/")


def run_now(watched: Watched, name: str) -> Page:
    """Start the run of a schedule from its row in the list of schedules."""
    page = watched.visit("/admin/django_q/schedule/")
    page.locator("#result_list tr", has_text=name).get_by_role("link", name="Run now").click()
    page.get_by_text(f"Run “{name}” now?").wait_for()
    watched.check()
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/admin/sync_tasks/synctask/*/change/**")
    return page
