"""A person with a browser sets up filters, labels, keys and a phone."""

import asyncio
import imaplib
import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.integration.page.conftest import Visit, send, violations
from tests.integration.product.accounts import Account
from tests.support.product import Product


async def test_a_filter_is_tried_before_it_is_saved_and_then_acts(
    product: Product, alice: Account, visit: Visit
) -> None:
    await asyncio.to_thread(send, product, alice, "Invoice 1")
    await asyncio.to_thread(send, product, alice, "Lunch")
    await visit.sign_in(alice.key)
    page = visit.page
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("link", name="New filter").click()
    await page.get_by_label("The subject contains").fill("invoice")
    await page.get_by_label("Move it to").select_option("Archive")
    await page.get_by_role("button", name="What would this do?").click()
    await expect(page.get_by_role("status")).to_contain_text("1 of the newest 2 messages matches.")
    await expect(page.locator("#trial").get_by_role("link", name="Invoice 1")).to_be_in_viewport()
    await page.get_by_label("Name", exact=True).fill("Invoices")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_have_text("The filter was saved.")
    await asyncio.to_thread(send, product, alice, "Invoice 2")
    await page.goto(f"{visit.url}/?mailbox=Archive")
    await expect(page.get_by_role("link", name="Invoice 2")).to_be_visible()
    await page.goto(f"{visit.url}/settings/filters")
    await expect(page.get_by_text("Has acted 1 time")).to_be_visible()
    assert (visit.errors, visit.dialogs, visit.foreign_requests()) == ([], [], [])


async def test_a_label_is_made_given_searched_and_taken_without_javascript(
    product: Product, alice: Account, context_without_scripts: BrowserContext
) -> None:
    await asyncio.to_thread(send, product, alice, "Report")
    visit = Visit(await context_without_scripts.new_page(), product.api_url)
    page = visit.page
    await visit.sign_in(alice.key)
    await page.goto(f"{visit.url}/settings/labels")
    await page.get_by_label("New label").fill("To do")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("status")).to_have_text("The label was saved.")
    await page.goto(f"{visit.url}/")
    await page.get_by_label("Mark: Report").check()
    await page.get_by_role("button", name="Add label").click()
    await page.get_by_role("navigation", name="Mailboxes").get_by_role("link", name="To do").click()
    await page.get_by_role("link", name="Report").click()
    await page.get_by_role("button", name="Remove the label To do").click()
    await expect(page.get_by_role("button", name="Remove the label To do")).to_have_count(0)


async def test_a_phone_is_set_up_with_a_key_that_opens_the_mailbox(
    product: Product, alice: Account, visit: Visit
) -> None:
    await visit.sign_in(alice.key)
    page = visit.page
    await page.goto(f"{visit.url}/settings/devices")
    await page.get_by_label("Name of the phone").fill("Pixel")
    await page.get_by_role("button", name="Make the QR code").click()
    await expect(page.get_by_role("img", name="QR code of the account")).to_be_visible()
    secret = await page.get_by_label("The key").input_value()
    row = page.get_by_role("row", name=re.compile("read mail"))
    port = int(await row.get_by_role("cell").nth(1).inner_text())

    def log_in() -> list[bytes]:
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=product.tls()) as client:
            client.login(alice.address, secret)
            return [octets for octets in client.select()[1] if octets]

    assert await asyncio.to_thread(log_in) == [b"0"]
    await page.get_by_role("link", name="revoke the key").click()
    await page.get_by_role("button", name="Revoke: Pixel").click()
    await expect(page.get_by_role("status")).to_have_text("The key was revoked: its sessions end within 30 seconds.")
    assert secret not in "".join(visit.requests)
    assert secret not in product.output
    assert visit.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_settings(
    product: Product, alice: Account, visit: Visit, scheme: str
) -> None:
    page = visit.page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await asyncio.to_thread(send, product, alice, "News")
    await visit.sign_in(alice.key)
    await page.goto(f"{visit.url}/settings/labels")
    await page.get_by_label("New label").fill("To do")
    await page.get_by_role("button", name="Create").click()
    assert await violations(visit) == []
    await page.get_by_role("link", name="To do", exact=True).click()
    assert await violations(visit) == []
    await page.goto(f"{visit.url}/settings/mailboxes")
    await page.get_by_label("New mailbox").fill("Projects/Garden")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("status")).to_have_text("The mailbox was saved.")
    assert await violations(visit) == []
    await page.get_by_role("link", name="Projects/Garden", exact=True).click()
    assert await violations(visit) == []
    await page.goto(f"{visit.url}/settings/filters/new")
    await page.get_by_label("Name", exact=True).fill("all")
    await page.get_by_role("button", name="What would this do?").click()
    await page.get_by_role("status").wait_for()
    assert await violations(visit) == []
    await page.get_by_label("Mark it as read").check()
    for button in ("Save", "Turn off"):
        await page.get_by_role("button", name=button).click()
        await page.get_by_role("heading", name="Filters").wait_for()
        assert await violations(visit) == []
    await page.goto(f"{visit.url}/")
    await page.get_by_label("Mark: News").check()
    await page.get_by_role("button", name="Add label").click()
    assert await violations(visit) == []
    await page.get_by_role("link", name="News").click()
    await page.get_by_role("button", name="Remove the label To do").wait_for()
    assert await violations(visit) == []
    for section in ("keys", "devices"):
        await page.goto(f"{visit.url}/settings/{section}")
        assert await violations(visit) == []
    await page.get_by_role("button", name="Make the QR code").click()
    await page.get_by_label("The key").wait_for()
    assert await violations(visit) == []
    assert visit.errors == []
