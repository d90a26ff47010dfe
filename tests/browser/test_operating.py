"""What operators do in a real browser: start and stop tasks, fill gaps, read charts, order the panels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from apps.mengla.choices import Action
from tests.browser.chromium import TIMEOUT_MILLISECONDS, Watched
from tests.browser.conftest import NewPage
from tests.integration.questions import CATEGORIES, Question
from tests.integration.stack import Stack
from tests.integration.waiting import wait_until

RUN_TIMEOUT_MILLISECONDS = 60_000
TASKS = "/admin/run-task/"
SHOWN = Question(Action.HOT, CATEGORIES[0], "2020-08")
FIGURES = f"/admin/data/?action=hot&granularity=month&category={SHOWN.cat_id}&period=2020-08"
PANELS = "/admin/panels/panelmodule/"
# A chart takes its new size a moment after the window, so this waits for it.
NOTHING_STICKS_OUT = "() => document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(autouse=True)
def _at_rest(site: Stack) -> Iterator[None]:
    yield
    site.reset()


def start_task(watched: Watched, task_id: str) -> Page:
    """Start a panel task with its button; shows the page of its run."""
    page = watched.visit(TASKS)
    page.locator(f"form[data-task={task_id}] button").click()
    page.wait_for_url("**/admin/sync_tasks/synctask/*/change/**")
    return page


def wait_for_the_page_of_an_ended_run(page: Page) -> None:
    """Wait until a page that was marked with ``isTheSamePage`` has reloaded itself at the end of its run.

    The reload comes after the last numbers: whoever reads the page in between loses it half-way.
    """
    page.wait_for_function("() => !window.isTheSamePage", timeout=RUN_TIMEOUT_MILLISECONDS)
    page.wait_for_load_state()


def run_id_of(page: Page) -> str:
    return page.url.split("/synctask/")[1].split("/")[0]


def chart_of(page: Page, name: str) -> dict[str, Any]:
    """The labels and the series that a chart has drawn, once it is there."""
    holder = page.locator(f"[data-chart={name}]")
    expect(holder).to_be_visible()
    found: dict[str, Any] = holder.evaluate(
        """holder => {
            const data = holder.collectorChart.data;
            return {
                labels: data.labels,
                series: Object.fromEntries(data.datasets.map((one) => [one.label, one.data])),
            };
        }"""
    )
    return found


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in cells]


def test_a_task_is_started_and_its_bar_reaches_the_end_without_a_reload(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(delay_seconds=0.6, concurrency=1)
    page = start_task(watched, "mengla_single_day")
    watched.check()
    page.evaluate("window.isTheSamePage = true")
    bar = page.get_by_role("progressbar", name="Progress").first
    wait_until(
        lambda: 0 < float(bar.get_attribute("aria-valuenow") or 0) < 100,
        timeout_seconds=30,
        what="the bar is seen on its way",
    )
    watched.screenshot("sync-task")
    assert page.evaluate("window.isTheSamePage") is True
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"100(\.0)?"), timeout=RUN_TIMEOUT_MILLISECONDS)
    wait_for_the_page_of_an_ended_run(page)
    expect(page.locator("[data-field=status]").first).to_have_text("Completed")
    told = site.get(f"/api/sync-tasks/{run_id_of(page)}").json()["data"]
    assert (told["status"], told["progress"]["percent"]) == ("COMPLETED", 100.0)
    shown = {
        name: page.locator(f"[data-field={name}]").first.inner_text() for name in ("completed", "failed")
    }
    assert numbers([shown["completed"], shown["failed"]]) == [
        told["progress"]["completed"],
        told["progress"]["failed"],
    ]
    watched.check()


def test_the_page_of_a_run_follows_its_failures_to_the_end(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(execute_error_rate=0.5, execute_status=400, hang_seconds=1)
    page = start_task(watched, "quarterly_collect")
    page.evaluate("window.isTheSamePage = true")
    told = "document.querySelector('[data-piece=reasons]').textContent.includes('rejected the request')"
    listed = "document.querySelector('[data-piece=collections] [data-state=FAILED]')"
    page.wait_for_function(
        f"() => window.isTheSamePage && {told} && {listed}", timeout=RUN_TIMEOUT_MILLISECONDS
    )
    # Then the page is another one, once, with what belongs to an ended run.
    wait_for_the_page_of_an_ended_run(page)
    expect(page.get_by_role("link", name="Retry failed collections")).to_be_visible()
    assert page.get_by_role("link", name="Cancel").count() == 0
    failed = site.get(f"/api/sync-tasks/{run_id_of(page)}").json()["data"]
    assert failed["error_message"] in page.locator("#content").inner_text()
    assert page.locator("[data-field=status][data-colour]").first.get_attribute("data-colour") == "warning"
    page.evaluate("window.isTheSamePage = true")
    watched.check()
    assert page.evaluate("window.isTheSamePage") is True


def test_a_page_that_lost_its_contact_says_so(watched: Watched, site: Stack) -> None:
    site.simulator.set_knobs(delay_seconds=2, concurrency=1)
    # The simulator sends no answers from now on: the run must not end before this is tested.
    watched.page.route("**/synctask/live/**", lambda route: route.fulfill(json={}))
    page = start_task(watched, "yearly_collect")  # which is always due here
    run_id, note = run_id_of(page), page.locator("[data-contact]")
    expect(note.get_by_text("No connection. Retrying…")).to_be_visible()
    page.unroute("**/synctask/live/**")
    expect(note).to_be_hidden(timeout=RUN_TIMEOUT_MILLISECONDS)
    page.context.clear_cookies()
    expect(note.get_by_role("link", name="Log in again")).to_be_visible(timeout=RUN_TIMEOUT_MILLISECONDS)
    note.get_by_role("link", name="Log in again").click()
    page.wait_for_url("**/admin/login/**")
    assert site.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200


def test_a_large_task_is_started_after_a_question(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(delay_seconds=2, concurrency=1)
    page = watched.open(TASKS)
    page.locator("form[data-task=mengla_granular_force] button").click()
    page.get_by_text(re.compile(r"This queues \d+ collections")).wait_for()
    watched.check()
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"**{TASKS}")
    assert site.database.sync_tasks.count_documents({"task_id": "mengla_granular_force"}) == 0
    page.locator("form[data-task=mengla_granular_force] button").click()
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/admin/sync_tasks/synctask/*/change/**")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url("**/synctask/*/change/**")


def test_a_running_task_is_cancelled_after_a_question(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(delay_seconds=2, concurrency=1)
    page = start_task(watched, "monthly_collect")
    run_id = run_id_of(page)
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("**/operation/cancel/")
    watched.check()
    assert site.get(f"/api/sync-tasks/{run_id}").json()["data"]["status"] == "RUNNING"
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url(f"**/synctask/{run_id}/change/**")
    # The page of an ended run has no such link; until then the page may reload itself.
    expect(page.get_by_role("link", name="Cancel")).to_have_count(0, timeout=RUN_TIMEOUT_MILLISECONDS)
    page.wait_for_load_state()
    expect(page.locator("[data-field=status]").first).to_have_text("Cancelled")
    assert site.get(f"/api/sync-tasks/{run_id}").json()["data"]["status"] == "CANCELLED"
    watched.check()


def test_a_gap_is_filled_from_the_coverage_page(look: NewPage, site: Stack) -> None:
    watched = look()
    address = "/admin/coverage/?action=hot&granularity=month&from=2020-01&to=2020-06"
    page = watched.open(address)
    map_ = page.locator("#map tbody")
    assert map_.locator("td.M").count() == len(CATEGORIES) * 6
    cell_of(map_, 0, 1).hover()
    page.mouse.down()
    cell_of(map_, 1, 3).hover()
    page.mouse.up()
    assert map_.locator("td.is-chosen").count() == 6
    # Two categories, February to April.
    page.get_by_role("button", name="Fill…").click()
    expect(page.locator("[data-count]")).to_have_attribute("data-count", "6")
    watched.check()
    with page.expect_navigation():
        page.get_by_role("button", name="Fill now").click()
    watched.check()

    def filled() -> bool:
        page.goto(site.url + address)
        return page.locator("#map tbody td.P").count() == 6

    wait_until(filled, timeout_seconds=30, what="the chosen cells are present")
    assert page.locator("#map tbody td.M").count() == len(CATEGORIES) * 6 - 6
    site.assert_stored_once(
        Question(Action.HOT, cat_id, month)
        for cat_id in CATEGORIES[:2]
        for month in ("2020-02", "2020-03", "2020-04")
    )
    cell_of(page.locator("#map tbody"), 0, 1).click()
    expect(page.locator("dialog#cell")).to_contain_text("Collected")
    watched.check()


def cell_of(body: Locator, row: int, column: int) -> Locator:
    return body.locator("tr").nth(row).locator("td").nth(column)


def test_the_charts_of_the_dashboard_show_what_the_tables_say(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.open("/admin/")
    drawn = chart_of(page, "hours")
    page.locator(".cp-card-hours summary").click()
    rows = watched.rows_of(page.locator("[data-piece=hours] table"))
    assert len(drawn["labels"]) == len(rows) == 24
    by_outcome = list(drawn["series"].values())
    for index, row in enumerate(rows):
        assert numbers(row[1:]) == [series[index] for series in by_outcome]
    # Those that asked the service: one that found its figures stored is no work done.
    asked = {"status": "SUCCEEDED", "execution_id": {"$ne": ""}}
    ended = site.database.mengla_collections.count_documents(asked)
    assert sum(drawn["series"]["Succeeded"]) == ended > 0
    tiers = chart_of(page, "cache")
    assert len(tiers["labels"]) == 7
    assert sum(sum(series) for series in tiers["series"].values()) > 0


def test_the_dashboard_goes_on_by_itself(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.visit("/admin/")
    before = sum(chart_of(page, "hours")["series"]["Succeeded"])
    page.evaluate("window.isTheSamePage = true")
    site.collect(site.questions.one())
    page.wait_for_function(
        """before => document.querySelector('[data-chart=hours]').collectorChart.data.datasets[0].data
            .reduce((sum, count) => sum + count, 0) > before""",
        arg=before,
        timeout=TIMEOUT_MILLISECONDS * 2,
    )
    assert page.evaluate("window.isTheSamePage") is True


def test_the_data_page_shows_the_figures_of_the_api(look: NewPage, site: Stack) -> None:
    watched = look()
    rows = site.collect(SHOWN).json()["data"]["list"]
    page = watched.open(FIGURES)
    assert page.locator("table[data-table=ranking] tbody tr").count() == len(rows)
    drawn = chart_of(page, "ranking")
    assert drawn["labels"]
    values = {value for series in drawn["series"].values() for value in series}
    assert values & {row["monthSales"] for row in rows} or values & {row["monthGmv"] for row in rows}
    with page.expect_navigation():
        page.get_by_role("link", name="Sales", exact=True).first.click()
    watched.check()
    column = page.locator("table[data-table=ranking] thead th").all_inner_texts()
    index = next(place for place, text in enumerate(column) if text.startswith("Sales"))
    shown = numbers(
        page.locator(f"table[data-table=ranking] tbody td:nth-child({index + 1})").all_inner_texts()
    )
    assert shown == sorted((row["monthSales"] for row in rows), reverse=True)


def test_the_ink_of_the_charts_follows_the_theme(look: NewPage) -> None:
    watched = look()
    page = watched.visit("/admin/")
    chart_of(page, "hours")
    inks = """() => {
        const options = document.querySelector('[data-chart=hours]').collectorChart.options;
        return {
            page: getComputedStyle(document.querySelector('.cp')).color,
            drawn: [options.scales.x.ticks.color, options.plugins.legend.labels.color],
        };
    }"""
    light = page.evaluate(inks)
    page.evaluate("document.documentElement.classList.add('dark')")
    dark = page.evaluate(inks)
    assert light["page"] != dark["page"]
    assert [light["drawn"], dark["drawn"]] == [[light["page"]] * 2, [dark["page"]] * 2]


def test_a_narrow_chart_has_short_numbers_and_no_titles_beside_its_axes(
    new_page: NewPage, site: Stack
) -> None:
    site.collect(Question(Action.INDUSTRY_TREND, CATEGORIES[0], "2020-06", start="2020-01"))
    watched = new_page(language="zh-CN")
    page = watched.open(
        f"/admin/data/?action=industryTrendRange&granularity=month&category={CATEGORIES[0]}"
        "&from=2020-01&to=2020-06"
    )
    chart_of(page, "trend")
    axis = """() => {
        const axis = document.querySelector('[data-chart=trend]').collectorChart.scales.y2;
        return { title: axis.options.title.display, ticks: axis.ticks.map((tick) => tick.label) };
    }"""
    wide = page.evaluate(axis)
    assert wide["title"] is True
    assert any(re.fullmatch(r"[\d.]+[万亿] ₽", tick) for tick in wide["ticks"]), wide
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function(f"() => !({axis})().title")
    page.wait_for_function(NOTHING_STICKS_OUT)


def test_the_form_of_the_data_asks_for_what_belongs_to_the_action(look: NewPage) -> None:
    watched = look()
    page = watched.open("/admin/data/")
    single, first = page.get_by_label("Period", exact=True), page.get_by_label("Trend from")
    page.locator("select[name=action]").select_option("hot")
    expect(single).to_be_visible()
    expect(first).to_be_hidden()
    page.locator("select[name=action]").select_option("industryTrendRange")
    expect(single).to_be_hidden()
    expect(first).to_be_visible()


@pytest.mark.parametrize("path", [FIGURES, TASKS])
def test_a_page_fits_a_telephone(path: str, watched: Watched, site: Stack) -> None:
    # Without its figures the page would leave for them while it is measured.
    site.collect(SHOWN)
    watched.page.set_viewport_size({"width": 400, "height": 900})
    page = watched.open(path)
    page.wait_for_function(NOTHING_STICKS_OUT)
    assert page.evaluate(
        """() => [...document.querySelectorAll('.cp-card select, .cp-card input:not([type=hidden])')].every(
            (field) => field.getBoundingClientRect().right
                <= field.closest('.cp-card').getBoundingClientRect().right)"""
    )


def test_the_gaps_of_a_trend_stay_visible(look: NewPage, site: Stack) -> None:
    watched = look()
    for start, end in (("2020-01", "2020-02"), ("2020-04", "2020-06")):
        site.collect(Question(Action.INDUSTRY_TREND, CATEGORIES[1], end, start=start))
    site.simulator.set_knobs(drop_rate=1)  # March is being collected as long as the page is looked at
    page = watched.open(
        f"/admin/data/?action=industryTrendRange&granularity=month&category={CATEGORIES[1]}"
        "&from=2020-01&to=2020-06"
    )
    drawn = chart_of(page, "trend")
    assert len(drawn["labels"]) == 6
    first = next(iter(drawn["series"].values()))
    assert [value is None for value in first] == [False, False, True, False, False, False]


def test_a_miss_shows_its_figures_as_soon_as_they_have_come(look: NewPage, site: Stack) -> None:
    watched = look()
    site.simulator.set_knobs(delay_seconds=3.5)
    address = f"/admin/data/?action=high&granularity=month&category={CATEGORIES[2]}&period="
    page = watched.visit(f"{address}2020-09")
    expect(page.locator("[data-miss]")).to_be_visible()
    expect(page.locator("table[data-table=ranking]")).to_be_visible(timeout=RUN_TIMEOUT_MILLISECONDS)
    watched.check()
    # The page of a miss can be checked as long as nothing comes.
    site.simulator.set_knobs(drop_rate=1)
    expect(watched.open(f"{address}2020-10").locator("[data-miss]")).to_be_visible()


def test_dragging_a_panel_changes_the_order_of_the_api(look: NewPage, site: Stack) -> None:
    watched = look()

    def order() -> list[str]:
        return [one["id"] for one in site.get("/api/panel-config").json()["data"]["modules"]]

    assert order() == ["overview", "high", "hot", "chance"]
    page = watched.open(PANELS)
    rows = page.locator("[data-module]")
    rows.nth(0).drag_to(rows.nth(2), target_position={"x": 30, "y": 30})
    page.get_by_text("The panels were changed.").wait_for()
    watched.check()
    assert order() == ["high", "hot", "overview", "chance"]
    page.get_by_role("button", name="Move 行业总览 up").click()
    page.get_by_text("The panels were changed.").wait_for()
    assert order() == ["high", "overview", "hot", "chance"]


def test_pictures_of_the_main_pages(look: NewPage, site: Stack) -> None:
    """Opens what the documentation shows; pictures are kept where SCREENSHOTS_DIR says.

    Whether everybody can use these pages is checked by the tests above, and of lists by test_pages.
    """
    for month in range(1, 13):
        site.collect(Question(Action.HOT, CATEGORIES[0], f"2021-{month:02}"))
    site.collect(Question(Action.INDUSTRY_TREND, CATEGORIES[0], "2021-12", start="2021-01"))
    watched = look()
    category = CATEGORIES[0]
    for name, path in {
        "dashboard": "/admin/",
        "coverage": "/admin/coverage/?action=hot&granularity=month&from=2020-01&to=2021-12",
        "coverage-overview": "/admin/coverage/?granularity=month&from=2021-01&to=2021-12",
        "data": f"/admin/data/?action=hot&granularity=month&category={category}&period=2021-06",
        "trend": f"/admin/data/?action=industryTrendRange&granularity=month&category={category}"
        "&from=2021-01&to=2021-12",
        "sync-tasks": "/admin/sync_tasks/synctask/",
        "panels": PANELS,
    }.items():
        page = watched.visit(path)
        if page.locator("[data-chart]").count():
            expect(page.locator("[data-chart]").first).to_be_visible()
        watched.screenshot(name)
    chinese = look(language="zh-CN")
    chinese.visit("/admin/coverage/?granularity=month&from=2021-01&to=2021-12")
    chinese.screenshot("coverage-overview-zh-hans")
