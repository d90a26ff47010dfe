"""What the Content-Security-Policy of the pages lets through; every other test here fails on a violation."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.chromium import Watched
from tests.browser.conftest import NewPage

# What an attacker could get into a page that does not escape a text. Each of them would set `ran`.
INJECTED = """
<script>window.ran = "inline script"</script>
<img src="data:," onerror="window.ran = 'event handler'">
<div x-data="{ got: 1 }" id="injected">
  <b x-init="window.ran = 'the window'"></b>
  <b x-init="$el.ownerDocument.defaultView.ran = 'the window of a document'"></b>
  <b x-init="got.constructor.name"></b>
  <b x-init="[].map.call(document.forms)"></b>
  <b x-init="$el.setAttribute('onclick', 'window.ran = 1')"></b>
  <b x-init="$el.innerHTML = 'changed'"></b>
  <b x-init="$el.click"></b>
  <b x-on:click="$event.view.ran = 'the window of an event'" id="click">x</b>
  <i x-text="got + 1"></i>
</div>
<style>#injected { display: none }</style>
<a href="javascript:window.ran = 'link'" id="link">link</a>
<script src="data:text/javascript,window.ran='data'"></script>
<base href="https://elsewhere.example/">
<form action="https://elsewhere.example/" method="post"><button id="send">send</button></form>
"""


def test_what_is_injected_does_not_run(new_page: NewPage) -> None:
    watched = new_page()
    page = watched.page

    def inject(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace('<div id="content"', f'{INJECTED}<div id="content"')
        )

    page.route("**/admin/coverage/", inject)
    watched.visit("/admin/coverage/")
    expect(page.locator("#injected i")).to_have_text("2")  # the theme's language works on it, harmlessly
    page.locator("#click").click()
    for trigger in ("#link", "#send"):
        page.locator(trigger).dispatch_event("click")
    assert page.evaluate("[window.ran, document.querySelector('#injected').checkVisibility()]") == [
        None,
        True,
    ]
    assert page.locator("#injected b[onclick]").count() == 0
    assert page.url == f"{watched.base_url}/admin/coverage/"
    told = "\n".join(watched.faults)
    for name in ("script-src", "style-src", "base-uri", "form-action"):
        assert f"{name} '" in told
    for name in ("window", "document", "constructor", "innerHTML", "setAttribute", "method"):
        assert name in told
    watched.faults.clear()


def test_the_parts_of_the_theme_work(new_page: NewPage) -> None:
    """They are driven by expressions in attributes, which are evaluated without ``eval``."""
    watched = new_page()
    page = watched.visit("/admin/mengla/collection/")
    html = page.locator("html")
    on_click(page, "openUserLinks =").click()
    for theme in ("dark", "light"):
        on_click(page, f"switchTheme('{theme}')").click()
        expect(html).to_have_class(theme)
    page.keyboard.press("/")
    expect(page.locator("input:focus")).to_have_count(1)  # one of the two search fields
    sidebar = page.locator("#nav-sidebar")
    on_click(page, "sidebarDesktopOpen = !sidebarDesktopOpen").click()
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_hidden()  # it is remembered
    on_click(page, "sidebarDesktopOpen = !sidebarDesktopOpen").click()
    expect(sidebar).to_be_visible()
    page.locator("#result_list input.action-select").first.check()
    expect(page.locator("select[name=action]")).to_be_visible()


def on_click(page: Page, expression: str) -> Locator:
    """The first element that evaluates this at a click."""
    return page.locator(f'[x-on\\:click*="{expression}"]').first


def test_the_page_of_the_api(watched: Watched) -> None:
    page = watched.visit("/api/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    page.locator(".opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    assert urlsplit(page.url).path == "/api/docs"
