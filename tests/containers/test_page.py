"""All of the page, on the stack, over TLS."""

from pathlib import Path

from tests.containers.accounts import Account
from tests.containers.clients import HOST
from tests.containers.project import Project
from tests.integration.page.conftest import Visit
from tests.integration.page.tour import Tour
from tests.support.browser import Browser, browser

__all__ = ["browser"]

TIMEOUT_MILLISECONDS = 60_000


async def test_a_person_uses_all_parts_of_the_page(
    stack: Project, alice: Account, browser: Browser, tmp_path: Path
) -> None:
    key = stack.create_key(alice.address, ["app", "admin"])
    async with await browser.new_context(ignore_https_errors=True) as context:  # the certificate is the stack's own
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        visit = Visit(await context.new_page(), f"https://{HOST}:{stack.ports['api_secure']}")
        visit.watch()
        await Tour(visit, alice.address, key, tmp_path).run()
