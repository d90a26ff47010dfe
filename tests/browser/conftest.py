"""One stack and one Chromium for all of these tests, in pages of the admin user.

Tests share a page of each language, unless they change what the browser itself keeps: its cookies, its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import VIEWPORT, Watched, chromium
from tests.integration.conftest import pytest_runtest_makereport, run_stack
from tests.integration.stack import Shape, Stack

__all__ = ["pytest_runtest_makereport"]  # shows the ends of the logs beside a failure

HERE = Path(__file__).parent
NewPage = Callable[..., Watched]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, so that a developer can leave it out."""
    for item in items:
        if item.path.parent == HERE:
            for name in ("browser", "slow", "mongo", "redis"):
                item.add_marker(name)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium; package-wide, because its event loop must be gone when Django's tests go on."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product with a few figures; it asks for a browser first, which is quicker to fail."""
    for stack in run_stack("browser", tmp_path_factory.mktemp("browser"), Shape(web_workers=2)):
        for question in stack.questions.some(3):
            stack.collect(question)
        yield stack


@pytest.fixture(scope="package")
def session(site: Stack, browser: Browser) -> Any:
    """What a browser keeps of a login, so that not every test logs in (logins are limited)."""
    with browser.new_context(locale="en-US") as context:
        page = context.new_page()
        page.goto(f"{site.url}/admin/login/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", site.environment["ADMIN_PASSWORD"])
        page.click("form [type=submit]")
        page.wait_for_url(f"{site.url}/admin/")
        return context.storage_state()


@pytest.fixture(scope="package")
def make_page(site: Stack, browser: Browser, session: Any) -> Callable[..., Watched]:
    """Return what makes a watched page in a language, with cookies of its own, closed with its context."""

    def make(closing: ExitStack, *, language: str = "en-US", is_logged_in: bool = True) -> Watched:
        state = session if is_logged_in else None
        context = browser.new_context(
            locale=language, storage_state=state, viewport=VIEWPORT, reduced_motion="reduce"
        )
        closing.enter_context(context)
        return Watched(context, site.url)

    return make


@pytest.fixture
def new_page(make_page: Callable[..., Watched]) -> Iterator[NewPage]:
    """Return what makes a watched page; whatever was wrong on any of them fails the test at its end."""
    opened: list[Watched] = []
    with ExitStack() as closing:

        def make(**options: Any) -> Watched:
            opened.append(make_page(closing, **options))
            return opened[-1]

        yield make
        faults = [fault for one in opened for fault in one.faults]
    assert faults == [], "\n".join(faults)


@pytest.fixture
def watched(new_page: NewPage) -> Watched:
    """A page of the admin user, in English, with a context of its own."""
    return new_page()


@pytest.fixture(scope="package")
def shared_page(make_page: Callable[..., Watched]) -> Iterator[NewPage]:
    """Return what makes the page of a language that is shared: a new one would compile all scripts again."""
    with ExitStack() as closing:
        yield cache(partial(make_page, closing))


@pytest.fixture
def look(shared_page: NewPage) -> Iterator[NewPage]:
    """Return what gives the shared page of a language, which is as a new one: it keeps nothing of a page."""
    used: list[Watched] = []

    def get(*, language: str = "en-US") -> Watched:
        watched = shared_page(language=language)
        watched.faults.clear()
        used.append(watched)
        return watched

    yield get
    faults = [fault for one in used for fault in one.faults]
    for one in used:
        one.page.goto("about:blank")
    assert faults == [], "\n".join(faults)
