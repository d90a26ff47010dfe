"""Every page of the admin in a real browser: no error, nothing from elsewhere, usable by everybody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.admin_pages import model_admins
from tests.browser.chromium import Watched
from tests.browser.conftest import NewPage
from tests.integration.stack import Stack

LISTS = sorted(f"/admin/{one.opts.app_label}/{one.opts.model_name}/" for one in model_admins())
# What stands on a Chinese page in Latin letters: names, codes and values of the data. The names of the
# groups, which administrators may change, are not translated.
LATIN = re.compile(
    r"""[A-Z][A-Z0-9_]+ | https?://\S+ | [\w./-]*[\d_./:*@%-][\w./:*@%-]* | MengLa | Collector | MongoDB
    | Redis | Excel | Web(?![a-z]) | Top | Ozon | Asia | Shanghai | English | Cron | admin | tests | Ctrl
    | Esc | Enter | Shift | Control | Command | Mac | viewer | analyst | operator
    | Parquet""",
    re.VERBOSE,
)
# What a message to a worker was called with, and what came back, is shown as Python wrote it.
RAW = ("/admin/django_q/success/", "/admin/django_q/failure/")
PAGES = ("/admin/", "/admin/coverage/", "/admin/data/", "/admin/run-task/")
# The policy of the pages forbids an element with styles, but not a style sheet that a script makes.
WITHOUT_ICON_FONT = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".material-symbols-outlined { font-family: sans-serif !important; }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
WORDS = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]+)*")
# Signs of English in a Chinese text; an id in brackets behind a name may have them.
HALF_WIDTH = re.compile(
    "[\u4e00-\u9fff] ?[,;:!?]|[,;:!?] ?[\u4e00-\u9fff]|\\([^()\n]*[\u4e00-\u9fff][^()\n]*\\)"
)


def test_logging_in_and_out(new_page: NewPage, site: Stack) -> None:
    watched = new_page(is_logged_in=False)
    page = watched.open("/admin/")
    assert "/admin/login/" in page.url
    page.get_by_label("Username").fill("admin")
    page.locator("input[name=password]").fill(site.environment["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/admin/")
    watched.check()


def test_a_wrong_password_is_told(new_page: NewPage) -> None:
    watched = new_page(is_logged_in=False)
    page = watched.open("/admin/login/")
    page.get_by_label("Username").fill("nobody")
    page.locator("input[name=password]").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Please enter the correct username and password").wait_for()
    watched.check()


@pytest.mark.parametrize("path", LISTS)
def test_a_list_and_its_first_row(path: str, look: NewPage) -> None:
    watched = look()
    for address in row_and_form(watched.open(path), path):
        watched.open(address)


def test_the_links_of_the_sidebar(look: NewPage) -> None:
    watched = look()
    page = watched.open("/admin/")
    links = page.locator("#nav-sidebar a[href^='/admin/'], nav a[href^='/admin/']")
    addresses = {link.get_attribute("href") for link in links.all()}
    assert len(addresses) >= 8
    for address in sorted(filter(None, addresses)):
        open_page = watched.visit if address in (*PAGES, *LISTS) else watched.open
        open_page(address)


def test_the_dark_theme_is_as_usable(watched: Watched) -> None:
    watched.page.emulate_media(color_scheme="dark")
    watched.open("/admin/")
    watched.open("/admin/mengla/collection/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_icons_are_readable_before_their_font_has_come(scheme: Any, watched: Watched) -> None:
    """They are words until then; a slow network must not make a page that some cannot read."""
    watched.page.emulate_media(color_scheme=scheme)
    for path in (*PAGES, "/admin/mengla/collection/", "/admin/auth/user/add/"):
        page = watched.visit(path)
        page.evaluate(WITHOUT_ICON_FONT)
        watched.check()


@pytest.mark.parametrize("path", [*PAGES, *LISTS])
def test_a_page_in_chinese_has_no_english_left(path: str, look: NewPage) -> None:
    watched = look(language="zh-CN")
    page = watched.visit(path)
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    assert english_of(page) == set()
    assert path not in PAGES or HALF_WIDTH.findall(page.locator("#content").inner_text()) == []


@pytest.mark.parametrize("path", [one for one in LISTS if one not in RAW])
def test_a_row_in_chinese_has_no_english_left(path: str, look: NewPage) -> None:
    watched = look(language="zh-CN")
    for address in row_and_form(watched.visit(path), path):
        assert english_of(watched.visit(address)) == set(), address


def test_a_run_that_failed_is_told_in_chinese(new_page: NewPage, site: Stack) -> None:
    site.simulator.set_knobs(execute_error_rate=1, execute_status=400)
    try:
        watched = new_page(language="zh-CN")
        page = watched.open("/admin/run-task/")
        page.locator("form[data-task=yearly_collect] button").click()
        page.wait_for_url("**/admin/sync_tasks/synctask/*/change/**")
        expect(page.locator("[data-field=status]").first).to_have_text("失败", timeout=60_000)
        page.get_by_role("link", name="重试失败的采集任务").wait_for()
        watched.check()
        assert "个采集任务中有" in page.locator("#content").inner_text()
        assert english_of(page) == set()
    finally:
        site.reset()


def test_what_is_not_there_is_told_with_a_way_back(new_page: NewPage) -> None:
    watched = new_page(language="zh-CN")
    for path in ("/admin/nothing/at/all/", "/nothing/"):
        assert english_of(watched.open(path, status=404)) == set()
    watched.page.get_by_role("link", name="返回仪表盘").click()
    watched.page.wait_for_url("**/admin/")


def row_and_form(page: Page, path: str) -> list[str]:
    """The addresses of the first row of a list, and of the form for a new one, where there are such."""
    rows = page.locator("#result_list tbody th a, #result_list tbody td a")
    addresses = []
    if rows.count():
        address = rows.first.get_attribute("href")
        assert address is not None
        addresses.append(address)
    if page.locator("a[href$='/add/']").count():
        addresses.append(f"{path}add/")
    return addresses


def english_of(page: Page) -> set[str]:
    """The English words that a page shows, apart from names and values of the data."""
    shown = page.evaluate(
        """() => {
            const words = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const parent = walker.currentNode.parentElement;
                const isWords = !parent.closest('script, style, pre, code, .material-symbols-outlined')
                    && !parent.closest('#result_list tbody, [translate=no]');
                if (isWords && parent.checkVisibility()) words.push(walker.currentNode.textContent);
            }
            for (const one of document.querySelectorAll('[title], [aria-label], [placeholder]')) {
                for (const name of ['title', 'aria-label', 'placeholder']) {
                    if (one.checkVisibility() && one.hasAttribute(name)) words.push(one.getAttribute(name));
                }
            }
            return words;
        }"""
    )
    return {one for text in shown for one in WORDS.findall(LATIN.sub(" ", text))}
