"""Debian's Chromium, and a page that is watched: what it logs, whom it asks, and whether all can use it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Response, sync_playwright

from tests.missing import leave_out

# The first one draws the same and opens a page in a third of the time, having no windows.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
TIMEOUT_MILLISECONDS = 15_000
VIEWPORT: Any = {"width": 1440, "height": 1000}
HARMFUL = ["serious", "critical"]
# The page returns only what is wanted: all that axe finds is megabytes.
_HARM = """async (harmful) => {
    const found = await axe.run({resultTypes: ["violations"]});
    return found.violations.filter((one) => harmful.includes(one.impact));
}"""
# Addresses that are no request to anybody.
_LOCAL_SCHEMES = frozenset({"data", "blob", "about"})


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium; without one the test fails where one is expected, and else is left out."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        leave_out(
            "The tests of the admin's pages need a Chromium: "
            "sudo apt-get install chromium-headless-shell fonts-noto-cjk"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of one user; everything that should not happen on it is kept in :attr:`faults`."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self.context = context
        self.base_url = base_url
        self.faults: list[str] = []
        self.expected_status = 0  # of a page that is opened to be refused
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        self.page: Page = context.new_page()
        self.page.on("console", lambda one: self._note_console(one.type, one.text))
        self.page.on("pageerror", lambda error: self._note(f"error of a script: {error}"))
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_response)

    def open(self, path: str, *, status: int = 200) -> Page:
        """Open a page of the stack and check that everybody can use it."""
        self.visit(path, status=status)
        self.check()
        return self.page

    def visit(self, path: str, *, status: int = 200) -> Page:
        """Open a page that another test checks, which takes half of the time."""
        self.expected_status = status
        answer = self.page.goto(self.base_url + path, wait_until="load")
        assert answer is not None
        assert answer.status == status, f"{path}: HTTP {answer.status}"
        return self.page

    def check(self) -> None:
        """Run axe-core on what is shown now."""
        self.page.evaluate(AXE_SCRIPT)
        here = urlsplit(self.page.url).path
        for one in self.page.evaluate(_HARM, HARMFUL):
            for node in one["nodes"]:
                reason = " ".join(node["failureSummary"].split())
                self._note(f"{here}: axe {one['id']}: {node['html'][:300]} ({reason[:300]})")

    def screenshot(self, name: str) -> None:
        """Keep a picture of the page as it is shown, where SCREENSHOTS_DIR says (docs/screenshots)."""
        if directory := os.environ.get("SCREENSHOTS_DIR"):
            Path(directory).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(directory) / f"{name}.png")

    def text_of(self, selector: str) -> str:
        """Return what the first element of this kind shows."""
        return self.page.locator(selector).first.inner_text()

    def rows_of(self, table: Locator) -> list[list[str]]:
        """Return the cells of a table's body."""
        return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]

    def _note(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def _note_console(self, kind: str, text: str) -> None:
        is_expected = f"the server responded with a status of {self.expected_status} " in text
        if kind in ("error", "warning") and not is_expected:
            self._note(f"{urlsplit(self.page.url).path}: console {kind}: {text}")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in _LOCAL_SCHEMES and f"{parts.scheme}://{parts.netloc}" != self.base_url:
            self._note(f"asks another host: {request.url}")

    def _note_response(self, response: Response) -> None:
        is_page = response.request.is_navigation_request()
        is_expected = is_page and response.status == self.expected_status
        if response.status >= 400 and not is_expected and not re.search(r"/admin/login/", response.url):
            self._note(f"HTTP {response.status} of {response.url}")
