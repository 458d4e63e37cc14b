"""A real browser for tests: Chromium of the system, without a window. Tests that need it are skipped without one.

    from tests.support.browser import browser  # the fixture, for `__all__` of a conftest

`RELATE_CHROMIUM` names another executable.
"""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MILLISECONDS = 30_000


def find_chromium() -> str | None:
    """The path of the browser; None if there is none."""
    return os.environ.get("RELATE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The browser; skips the test if there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium, or RELATE_CHROMIUM")
    async with async_playwright() as playwright:
        # In a container there is often neither a user namespace for the sandbox nor a large /dev/shm.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = await playwright.chromium.launch(executable_path=path, args=arguments, timeout=TIMEOUT_MILLISECONDS)
        try:
            yield running
        finally:
            await running.close()
