"""An operator with a browser: users, domains, the queue and the log."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.integration.page.conftest import Visit, violations
from tests.integration.product.accounts import Account, message
from tests.support.dns import Behaviour, ScriptedDns, dns_in_thread
from tests.support.product import Product

DOMAIN, SERVER = "example.test", "mail.example.test"
ZONE = f"""
{SERVER} A 198.41.0.4
{DOMAIN} MX 10 {SERVER}
{DOMAIN} TXT "v=spf1 include:mail.elsewhere.example ?all"
"""
PATHS = (
    "",
    "/users",
    "/users/1",
    "/users/2/remove",
    "/domains",
    f"/domains/{DOMAIN}",
    "/queue",
    "/suppressions",
    "/events",
)


@pytest.fixture(scope="module")
def asked() -> Iterator[ScriptedDns]:
    """The name server, which fails for the domain that mail is sent to."""
    with dns_in_thread(ZONE) as server:
        server.behave("elsewhere.example", Behaviour.SERVFAIL)
        yield server


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, asked: ScriptedDns) -> Iterator[Product]:
    """All services, with a relay that finds no server."""
    settings = {"Relay__Enabled": "true", "Relay__Resolver": asked.server, "Smtp__ServerName": SERVER}
    with Product(tmp_path_factory.mktemp("admin"), Jaeger__Url="http://127.0.0.1:16686", **settings) as started:
        started.relate_json("domain", "add", DOMAIN, "--selector", "s")
        started.start()
        yield started


@pytest.fixture
def operator(product: Product) -> str:
    """The key of an operator, who reads no mail."""
    address = Account.create(product, "operator").address
    return product.create_key(address, ["admin"], "operator")


async def sign_in(page: Page, url: str, key: str) -> None:
    """Sign in, and wait for the overview."""
    await page.goto(f"{url}/")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Overview").wait_for()


def queue_mail(product: Product, account: Account, *recipients: str) -> None:
    """Send mail that stays in the queue."""
    with product.submission(account.address, account.key) as client:
        client.send_message(message(account.address, *recipients))


async def test_an_operator_adds_a_user_with_a_key_and_removes_them(visit: Visit, operator: str) -> None:
    page = visit.page
    await sign_in(page, visit.url, operator)
    await page.get_by_role("link", name="Users", exact=True).click()
    await page.get_by_label("Address", exact=True).fill("new.person@example.test")
    await page.get_by_label("Name", exact=True).fill("New Person")
    await page.get_by_role("button", name="Add the user").click()
    await expect(page.get_by_text("The user was added.")).to_be_visible()
    await page.get_by_label("Quota in MB").fill("250")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("0 B of 250 MB")).to_be_visible()
    await page.get_by_label("Name of a new key").fill("phone")
    await page.get_by_role("button", name="Create the key").click()
    await expect(page.get_by_label("The secret of the key")).to_have_value(re.compile("^rm_"))
    await page.get_by_role("link", name="Remove …").click()
    await page.get_by_role("button", name="Remove the user and all mail").click()
    await expect(page.get_by_text("The user was removed")).to_be_visible()
    assert (visit.errors, visit.dialogs, visit.foreign_requests()) == ([], [], [])


async def test_an_operator_sees_which_records_the_dns_lacks(visit: Visit, operator: str) -> None:
    page = visit.page
    await sign_in(page, visit.url, operator)
    await page.goto(f"{visit.url}/admin/domains/{DOMAIN}")
    await page.get_by_role("button", name="Check the DNS").click()
    await expect(page.get_by_text("records that mail needs are missing or different")).to_be_visible()
    found = page.get_by_role("row").filter(has_text="MX").locator(".state")
    await expect(found).to_have_text("Found")
    await expect(page.get_by_text("v=spf1 include:mail.elsewhere.example ?all").first).to_be_visible()


async def test_an_operator_drops_mail_without_javascript(
    product: Product, alice: Account, operator: str, context_without_scripts: BrowserContext
) -> None:
    await asyncio.to_thread(queue_mail, product, alice, "carol@elsewhere.example")
    page = await context_without_scripts.new_page()
    await sign_in(page, product.api_url, operator)
    await page.goto(f"{product.api_url}/admin/queue?account={alice.address}")
    await page.get_by_label("carol@elsewhere.example").check()
    await page.get_by_role("button", name="Drop …").click()
    await expect(page.get_by_role("heading", name="Drop 1 recipient?")).to_be_visible()
    await page.get_by_role("button", name="Drop it").click()
    await expect(page.get_by_role("status")).to_contain_text("dropped")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_administration(
    product: Product, alice: Account, operator: str, visit: Visit, scheme: str
) -> None:
    await asyncio.to_thread(queue_mail, product, alice, "dan@elsewhere.example")
    page = visit.page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await sign_in(page, visit.url, operator)
    for path in (*PATHS, f"/journeys?q={alice.address}"):
        await page.goto(f"{visit.url}/admin{path}")
        await page.get_by_role("heading", level=1).wait_for()
        assert (path, await violations(visit)) == (path, [])
    await page.goto(f"{visit.url}/admin/domains/{DOMAIN}")
    await page.get_by_role("button", name="Check the DNS").click()
    await page.locator(".state").first.wait_for()
    assert await violations(visit) == []
