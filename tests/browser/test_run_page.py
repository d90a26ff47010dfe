"""The page of a run in a real browser: its grid, its filters, its timeline, a phone, Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.test_operating import (
    NOTHING_STICKS_OUT,
    RUN_TIMEOUT_MILLISECONDS,
    chart_of,
    run_id_of,
    start_task,
    wait_for_the_page_of_an_ended_run,
)
from tests.browser.test_pages import english_of
from tests.integration.stack import Stack

PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def _at_rest(site: Stack) -> Iterator[None]:
    yield
    site.reset()


def test_the_grid_of_a_run_answers_what_failed_and_why(new_page: NewPage, site: Stack) -> None:
    watched = new_page()
    site.simulator.set_knobs(execute_error_rate=0.5, execute_status=400, hang_seconds=1)
    page = start_task(watched, "quarterly_collect")
    run_id = run_id_of(page)
    page.evaluate("window.isTheSamePage = true")
    grid = page.locator("[data-piece=collections]")
    # The grid follows the run without a reload.
    failed = "document.querySelector('[data-piece=collections] [data-state=FAILED]')"
    page.wait_for_function(f"() => window.isTheSamePage && {failed}", timeout=RUN_TIMEOUT_MILLISECONDS)
    wait_for_the_page_of_an_ended_run(page)
    expect(page.locator("[data-field=status]").first).to_have_text("Completed with failures")
    watched.check()
    page.evaluate("document.querySelector('#collections').scrollIntoView()")
    watched.screenshot("run")

    # From a reason to the collections that failed for it, with the keyboard alone.
    page.locator("[data-piece=reasons] a").first.press("Enter")
    page.wait_for_url("**reason=rejected**")
    told = site.get(f"/api/sync-tasks/{run_id}").json()["data"]
    rows = watched.rows_of(grid.locator("table"))
    assert len(rows) == min(50, told["progress"]["failed"])
    assert all(row[1] == "✕ Failed" and row[0] and row[7] for row in rows)
    assert all(re.match(r"\d{4}-Q\d", row[3]) for row in rows)

    # The filters, and their numbers in the table above them.
    form = page.locator("#collections form")
    form.locator("[name=status]").select_option("SUCCEEDED")
    form.locator("[name=reason]").select_option("")
    form.get_by_role("button", name="Show").click()
    page.wait_for_url("**status=SUCCEEDED**")
    assert {row[1] for row in watched.rows_of(grid.locator("table"))} == {"✓ Succeeded"}

    # The chart has the numbers of its table; the evidence is one step away.
    labels = chart_of(page, "timeline")["labels"]
    chart = page.locator("[data-chart=timeline]")
    assert chart.evaluate("one => one.collectorChart.options.scales.y.title.text") == "Seconds"
    assert len(labels) == page.locator(".cp-table-of-chart tbody tr").count()
    grid.get_by_role("link").first.click()
    expect(page.get_by_role("region", name="Attempts").get_by_role("cell", name="Answered")).to_be_visible()
    page.get_by_role("link", name=run_id).click()
    page.get_by_role("link", name="Open in the list of collections").click()
    page.wait_for_url(f"**/mengla/collection/?run={run_id}")
    assert page.locator("#result_list tbody tr").count() > 0
    watched.check()

    phone = new_page(language="zh-CN")
    phone.visit(f"/admin/sync_tasks/synctask/{run_id}/change/")
    phone.page.evaluate("document.querySelector('#collections').scrollIntoView()")
    phone.screenshot("run-zh-hans")
    phone.page.set_viewport_size(PHONE)
    phone.open(f"/admin/sync_tasks/synctask/{run_id}/change/")
    phone.page.wait_for_function(NOTHING_STICKS_OUT)
    expect(phone.page.locator("[data-field=status]").first).to_have_text("已完成（有失败）")
    assert english_of(phone.page) == set()
    phone.screenshot("run-phone")


def test_a_run_in_an_outage_says_at_once_why_it_waits(new_page: NewPage, site: Stack) -> None:
    watched = new_page()
    site.simulator.set_knobs(execute_error_rate=1.0, execute_status=503)
    page = start_task(watched, "quarterly_collect")
    run_id = run_id_of(page)
    time_left = page.locator("dd[data-field=time_left]")
    expect(time_left).to_contain_text("Waiting: ", timeout=RUN_TIMEOUT_MILLISECONDS)
    page = watched.visit("/admin/sync_tasks/synctask/?outcome=running")
    expect(page.locator(f"[data-run='{run_id}'][data-field=time_left]")).to_contain_text("Waiting: ")
    assert site.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200
