"""A headless browser: Chromium of the system, driven by Playwright. Without it, the tests are skipped.

async def test_a_page(browser: Browser) -> None:
    async with visiting(browser, f"{url}/docs") as visit:
        await visit.page.get_by_role("heading", name="Sending").wait_for()
    assert visit.complaints == []

A test takes the fixture `browser` from its conftest. `RELATE_CHROMIUM` names another executable.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

__all__ = ["Browser", "Visit", "browser", "visiting"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MILLISECONDS = 60_000
# A container often has neither a user namespace for the sandbox nor a large /dev/shm. Only pages make requests.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
)


@dataclass
class Visit:
    """A page, and what happened on it: errors of scripts and of the console, and the URLs of all requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Record from now on."""
        self.page.on("console", self._note_line)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def _note_line(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.complaints.append(line.text)


def _find_chromium() -> str | None:
    """The path of the browser; None if there is none."""
    return os.environ.get("RELATE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser without a profile."""
    path = _find_chromium()
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium, or RELATE_CHROMIUM")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=TIMEOUT_MILLISECONDS)
        try:
            yield started
        finally:
            await started.close()


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncIterator[Visit]:
    """Open a URL in a page of its own."""
    async with await browser.new_context() as context:
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        visit = Visit(await context.new_page())
        visit.listen()
        await visit.page.goto(url)
        yield visit
