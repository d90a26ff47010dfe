"""The form of the data page in a browser: the picker of categories, the periods, and what a fault keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date

import pytest
from playwright.sync_api import Locator, Page, expect

from apps.admin.pages.inputs.periods import converted
from apps.core.periods import Granularity, parse_period, period_of
from apps.mengla.choices import Action
from tests.browser.conftest import VIEWPORT, NewPage
from tests.browser.test_coverage_page import NOTHING_STICKS_OUT, PHONE
from tests.browser.test_pages import english_of
from tests.integration.questions import CATEGORIES, Question
from tests.integration.stack import Stack

PAGE = "/admin/data/"
LEVEL2 = "4201"
ASKED = f"{PAGE}?action=hot&category={LEVEL2}&granularity=month&period=2019-05"


@pytest.fixture(autouse=True)
def _at_rest(site: Stack) -> Iterator[None]:
    yield
    site.reset()


def picker(page: Page) -> Locator:
    return page.locator("#pick-category")


def options(page: Page) -> Locator:
    return page.locator("#pick-category-list [role=option]")


def sent(page: Page, name: str) -> str:
    """What the form would send of a field."""
    found: list[str] = page.locator("form[data-periods]").evaluate(
        "(form, name) => new FormData(form).getAll(name)", name
    )
    return ",".join(found)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("锅具", LEVEL2),
        ("КАСТРЮЛИ", LEVEL2),
        ("тёрмосы", "4304"),
        ("厨房与餐具>锅具", LEVEL2),
        ("４２０１", LEVEL2),
        ("201", LEVEL2),
        ("  посуда кухня ", CATEGORIES[0]),
    ],
)
def test_a_category_is_found_with_the_keyboard(typed: str, wanted: str, look: NewPage) -> None:
    page = look().visit(PAGE)
    picker(page).click()
    page.keyboard.type(typed)
    found = options(page).filter(has_text=wanted)
    expect(found).to_have_count(1)
    while wanted not in page.locator("#pick-category-list .is-active").inner_text():
        page.keyboard.press("ArrowDown")
    active = picker(page).get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_contain_text(wanted)
    page.keyboard.press("Enter")
    expect(options(page).first).to_be_hidden()
    assert sent(page, "category") == wanted
    assert page.url.endswith(PAGE)  # the form was not sent


def test_the_picker_as_a_combobox(look: NewPage) -> None:
    watched = look()
    page = watched.visit(PAGE)
    field, count = picker(page), page.locator("#pick-category ~ [role=status]")
    before = field.input_value()
    assert before
    expect(field).to_have_attribute("aria-expanded", "false")
    field.focus()
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-expanded", "true")
    total = options(page).count()
    expect(count).to_have_text(f"{total} categories")
    page.keyboard.press("Home")
    expect(options(page).first).to_have_class("is-active")
    expect(options(page).first).to_contain_text("All categories together")
    page.keyboard.press("End")
    expect(options(page).last).to_have_class("is-active")
    # Level 2 has its own name, and its parent's quietly beside it.
    below = options(page).filter(has_text=LEVEL2)
    expect(below).to_contain_text("锅具 · Кастрюли и сковороды")
    expect(below.locator("small")).to_have_text(f"厨房与餐具 · {LEVEL2}")
    watched.screenshot("data-picker")
    watched.check()
    page.keyboard.press("Escape")
    expect(options(page).first).to_be_hidden()
    expect(field).to_have_value(before)
    # Enter chooses the characters of an input method, not yet a category.
    field.fill("锅具")
    is_taken = """field => !field.dispatchEvent(
        new KeyboardEvent("keydown", { key: "Enter", isComposing: true, cancelable: true }))"""
    assert field.evaluate(is_taken) is False
    expect(options(page).first).to_be_visible()
    # What is left in the middle of a search is the marked category, never the former one in secret.
    field.fill("锅具")
    expect(count).to_have_text("1 category")
    page.keyboard.press("Tab")
    expect(field).to_have_value("锅具 · Кастрюли и сковороды")
    assert sent(page, "category") == LEVEL2
    field.fill("nothing like this")
    expect(count).to_have_text("No category matches.")
    page.get_by_role("button", name="Show").click()
    assert field.evaluate("field => field.validationMessage") == "No category matches."
    assert page.url.endswith(PAGE)


def test_several_categories_are_chosen(look: NewPage, site: Stack) -> None:
    site.collect(Question(Action.HOT, LEVEL2, "2019-05"))
    watched = look()
    page = watched.visit(f"{ASKED}&also={CATEGORIES[1]}")
    field = page.get_by_role("combobox", name="Further categories")
    field.fill("43")
    page.locator("#pick-also-list [role=option]").nth(1).click()
    field.fill(LEVEL2)  # which is shown anyway
    page.keyboard.press("Enter")
    chosen = page.locator(".cp-chosen input")
    expect(chosen).to_have_count(2)
    watched.check()
    chosen.first.click()
    expect(chosen).to_have_count(1)
    for number in range(5):
        field.fill("4")
        page.locator("#pick-also-list [role=option]").nth(number + 6).click()
        if field.is_disabled():
            break
    expect(field).to_be_disabled()
    assert len(sent(page, "also").split(",")) == 5


def test_figures_that_arrive_leave_the_form_alone(look: NewPage, site: Stack) -> None:
    site.simulator.set_knobs(delay_seconds=2)
    page = look().visit(ASKED.replace("2019-05", "2018-05"))
    page.get_by_label("Granularity").select_option("year")
    expect(page.get_by_text("The collection has ended.")).to_be_visible(timeout=30_000)
    expect(page.get_by_label("Granularity")).to_have_value("year")
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("table[data-table=ranking]")).to_be_visible()


def test_the_periods_follow_the_granularity(look: NewPage) -> None:
    watched = look()
    page = watched.visit(ASKED)
    granularity, period = page.get_by_label("Granularity"), page.get_by_label("Period", exact=True)
    expect(period).to_have_attribute("type", "month")
    for kind, wanted in (
        ("quarter", "2019-Q2"),
        ("month", "2019-06"),
        ("year", "2019"),
        ("day", "2019-12-31"),
    ):
        granularity.select_option(kind)
        expect(period).to_have_value(wanted)
        assert sent(page, "period") == wanted
    expect(period).to_have_attribute("type", "date")
    granularity.select_option("month")
    period.fill("")
    granularity.select_option("quarter")
    assert sent(page, "period") == ""
    page.locator("select[name=action]").select_option("industryTrendRange")
    granularity.select_option("month")
    page.get_by_label("Trend from").fill("2018-02")
    page.get_by_label("Trend to").fill("2019-05")
    granularity.select_option("quarter")
    assert (sent(page, "from"), sent(page, "to")) == ("2018-Q1", "2019-Q2")
    watched.check()


CONVERT = """cases => {
    const form = document.querySelector('form[data-periods]');
    const granularity = form.elements.namedItem('granularity');
    const change = (kind) => {
        granularity.value = kind;
        granularity.dispatchEvent(new Event('change', { bubbles: true }));
    };
    return cases.map(([value, kind, wanted]) => {
        form.elements.namedItem('period').value = '';
        change(kind);
        form.elements.namedItem('period').value = value;
        change(wanted);
        return form.elements.namedItem('period').value;
    });
}"""


def test_the_script_converts_as_the_server_does(look: NewPage) -> None:
    page = look().visit(PAGE)
    today = date.fromisoformat(json.loads(page.locator("#periods").inner_text())["today"])
    texts = ("2000-01-01", "2024-02-29", "2023-12-31", "2024-02", "2019-Q4", "2000")
    past = [parse_period(one) for one in texts]
    now = [period_of(today, one) for one in Granularity]
    periods = [*past, *now, *(one.previous() for one in now), now[1].shift(-5)]
    cases = [(one, kind) for one in periods for kind in Granularity]
    asked = [(one.dashed, one.granularity.value, kind.value) for one, kind in cases]
    found = dict(zip(asked, page.evaluate(CONVERT, asked), strict=True))
    wanted = [converted(one, kind, today=today).dashed for one, kind in cases]
    assert found == dict(zip(asked, wanted, strict=True))


def test_earlier_and_later_periods_are_a_click_away(look: NewPage, site: Stack) -> None:
    watched = look()
    page = watched.visit(f"{PAGE}?action=hot&category={CATEGORIES[0]}&granularity=quarter&period=2017-Q2")
    page.get_by_role("link", name="Previous: 2017-Q1").click()
    expect(page.get_by_label("Period", exact=True)).to_have_value("2017-Q1")
    page.get_by_role("link", name="Next: 2017-Q2").click()
    expect(page.get_by_label("Period", exact=True)).to_have_value("2017-Q2")


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_a_fault_is_told_at_its_field_and_all_else_stays(
    language: str, is_phone: bool, new_page: NewPage
) -> None:
    watched = new_page(language=language)
    if is_phone:
        watched.page.set_viewport_size(PHONE)
    page = watched.open(f"{ASKED.replace('2019-05', '2019-13')}&also={CATEGORIES[1]}", status=400)
    period = page.locator("#period-period")
    expect(period).to_have_value("2019-13")
    expect(period).to_have_attribute("aria-invalid", "true")
    described = period.get_attribute("aria-describedby")
    expect(page.locator(f"#{described}")).to_contain_text("2019-13")
    expect(picker(page)).to_have_value("锅具 · Кастрюли и сковороды")
    expect(page.locator(".cp-chosen input")).to_have_value(CATEGORIES[1])
    page.wait_for_function(NOTHING_STICKS_OUT)
    picker(page).click()
    expect(options(page).first).to_be_visible()
    page.wait_for_function(NOTHING_STICKS_OUT)
    watched.check()
    if language == "zh-CN":
        assert english_of(page) == set()
    page.keyboard.press("Escape")
    period.fill("2019-05")
    with page.expect_navigation():
        page.locator("form[data-periods] button").click()
    watched.expected_status = 200
    assert f"category={LEVEL2}" in page.url
    assert "period=2019-05" in page.url


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_the_newest_figures_are_there_at_once(language: str, new_page: NewPage, site: Stack) -> None:
    watched = new_page(language=language)
    page = watched.open(PAGE)
    expect(page.locator("table[data-table]").first).to_be_visible()
    expect(page.locator("#title-recent")).to_be_visible()
    if language == "zh-CN":
        assert english_of(page) == set()
    else:
        watched.screenshot("data")
    page.set_viewport_size(PHONE)
    page.reload()
    page.wait_for_function(NOTHING_STICKS_OUT)
    # The closed filters leave the first screen to the figures.
    expect(page.locator("form[data-periods]")).to_be_hidden()
    watched.check()
    page.locator("details.cp-filters summary").click()
    watched.screenshot("data-phone-zh-hans" if language == "zh-CN" else "data-phone")


def test_without_scripts_the_form_is_a_form(site: Stack, browser: object, session: object) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=session, locale="en-US")  # type: ignore[attr-defined]
    with context:
        page = context.new_page()
        page.goto(site.url + ASKED)
        page.get_by_label("Category").select_option(CATEGORIES[0])
        page.get_by_label("Granularity").select_option("quarter")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("status").first).to_contain_text("2019-05 is a month.")
        assert f"category={CATEGORIES[0]}" in page.url
        expect(page.locator("select[name=period]")).to_have_value("2019-Q2")
        expect(page.get_by_role("link", name="Collect now")).to_be_visible()


def test_a_range_is_exported(look: NewPage) -> None:
    watched = look()
    page = watched.visit(PAGE)
    page.locator("details.cp-fold summary").click()
    page.locator("#bulk-format").select_option("csv")
    watched.check()
    with page.expect_download() as started:
        page.locator("#bulk button").click()
    assert re.fullmatch(r"mengla-\w+-\w+-[\dQ-]+\.csv", started.value.suggested_filename)


def test_an_export_that_is_refused_keeps_what_was_filled_in(look: NewPage) -> None:
    watched = look(language="zh-CN")
    watched.page.set_viewport_size(PHONE)
    page = watched.visit(f"{PAGE}bulk/?action=hot&granularity=month&from=2025-01&to=x&format=csv", status=400)
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#bulk-to")).to_have_value("x")
    page.wait_for_function(NOTHING_STICKS_OUT)
    watched.check()
    assert english_of(page) == set()
    page.set_viewport_size(VIEWPORT)
