"""The embedded edition with mail, and a browser that signs in."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

from tests.integration.product.accounts import Account
from tests.support.browser import browser
from tests.support.product import Product

__all__ = ["browser"]

AXE = Path(__file__).parents[2] / "support" / "axe" / "axe.min.js"
IMPACTS = ("serious", "critical")


@dataclass
class Visit:
    """A page of the browser; the lists have what happened in all its frames.

    `console` are the lines of the console, `complaints` those of the browser in it: errors and warnings. Questions are
    answered with no, but with yes if `agrees`.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    agrees: bool = False

    def watch(self) -> None:
        """Record what happens from now on."""
        self.page.on("console", self._on_console)
        self.page.on("dialog", self._on_dialog)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._on_request)

    def foreign_requests(self) -> list[str]:
        """Requests to other hosts."""
        return [url for url in self.requests if not url.startswith((self.url, "data:", "about:"))]

    async def sign_in(self, key: str) -> None:
        """Sign in with a key, and wait for the list and its scripts."""
        await self.page.goto(f"{self.url}/")
        await self.page.get_by_label("API key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("heading", name="Inbox").wait_for()
        await self.page.wait_for_load_state()

    def _on_console(self, message: ConsoleMessage) -> None:
        self.console.append(message.text)
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        await (dialog.accept() if self.agrees else dialog.dismiss())


async def violations(visit: Visit) -> list[str]:
    """What axe finds that is serious; the driver's evaluation is not bound by the page's policy."""
    await visit.page.evaluate(AXE.read_text() + ";0")
    found = await visit.page.evaluate("axe.run().then(result => result.violations.map(each => [each.id, each.impact]))")
    return [name for name, impact in found if impact in IMPACTS]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services."""
    with Product(tmp_path_factory.mktemp("page"), Jaeger__Url="http://127.0.0.1:16686") as started:
        started.start()
        yield started


@pytest.fixture
def alice(product: Product) -> Account:
    """A new user with a key for all scopes."""
    return Account.create(product, "alice")


@pytest.fixture
async def visit(browser: Browser, product: Product) -> AsyncIterator[Visit]:
    """A new browser profile."""
    context = await browser.new_context()
    context.set_default_timeout(30_000)
    visit = Visit(await context.new_page(), product.api_url)
    visit.watch()
    yield visit
    await context.close()


def send(product: Product, account: Account, subject: str, html: str = "", text: str = "Hello.\n") -> None:
    """Send mail from a user to themselves."""
    message = EmailMessage()
    message["From"] = message["To"] = account.address
    message["Subject"] = subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    with product.submission(account.address, account.key) as client:
        client.send_message(message)


@pytest.fixture
async def context_without_scripts(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile that runs no scripts."""
    context = await browser.new_context(java_script_enabled=False)
    yield context
    await context.close()
