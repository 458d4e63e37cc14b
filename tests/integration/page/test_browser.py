"""A person with a browser: from the sign-in to the journey of a message."""

import asyncio
import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.integration.page.conftest import Visit, send, violations
from tests.integration.product.accounts import Account
from tests.support.product import Product


async def test_a_person_reads_and_moves_mail(product: Product, alice: Account, visit: Visit) -> None:
    await asyncio.to_thread(send, product, alice, "Agenda", text="At noon: https://example.org/\n")
    await visit.sign_in(alice.key)
    page = visit.page
    await page.get_by_role("link", name="Agenda").click()
    await expect(page.get_by_role("heading", name="Agenda")).to_be_visible()
    await expect(page.get_by_role("link", name="https://example.org/")).to_be_visible()
    await expect(page.get_by_role("button", name="Mark as unread")).to_be_visible()  # it was marked as read by now
    await page.get_by_role("link", name="Journey").click()
    await expect(page.locator(".steps").get_by_text("Delivered", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="Trace").first).to_have_attribute(
        "href", re.compile("http://127.0.0.1:16686/trace/[0-9a-f]{32}")
    )
    await page.get_by_role("link", name="The message").click()
    await page.get_by_label("Move to").select_option("Archive")
    await page.get_by_role("button", name="Move", exact=True).click()
    await expect(page.get_by_text("There is no mail here.")).to_be_visible()
    await page.get_by_role("link", name="Archive").click()
    await expect(page.get_by_role("link", name="Agenda")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    assert (visit.errors, visit.dialogs, visit.foreign_requests()) == ([], [], [])


async def test_new_mail_appears_by_itself_and_what_is_marked_stays_marked(
    product: Product, alice: Account, visit: Visit
) -> None:
    await asyncio.to_thread(send, product, alice, "First")
    async with visit.page.expect_response(f"{visit.url}/events"):
        await visit.sign_in(alice.key)
    first = visit.page.get_by_label("Mark: First")
    await first.check()
    await asyncio.to_thread(send, product, alice, "Second")
    await expect(visit.page.get_by_role("link", name="Second")).to_be_visible()
    await expect(first).to_be_checked()
    await expect(visit.page.get_by_text("2 messages, 2 unread")).to_be_visible()


async def test_arrow_keys_lead_through_the_list(product: Product, alice: Account, visit: Visit) -> None:
    for subject in ("One", "Two"):
        await asyncio.to_thread(send, product, alice, subject)
    await visit.sign_in(alice.key)
    await visit.page.get_by_role("link", name="Two").focus()
    await visit.page.keyboard.press("ArrowDown")
    await expect(visit.page.get_by_role("link", name="One")).to_be_focused()
    await visit.page.keyboard.press("k")
    await expect(visit.page.get_by_role("link", name="Two")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(product: Product, alice: Account, visit: Visit, scheme: str) -> None:
    page = visit.page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await asyncio.to_thread(send, product, alice, "News", html="<p>Hello</p><img src='https://tracker.invalid/p.gif'>")
    await page.goto(f"{visit.url}/sign-in")
    assert await violations(visit) == []
    await visit.sign_in(alice.key)
    assert await violations(visit) == []
    await page.get_by_role("link", name="News").click()
    await expect(page.get_by_text("1 remote image is not loaded")).to_be_visible()
    assert await violations(visit) == []
    for name in ("Thread", "Journey"):
        await page.get_by_role("link", name=name, exact=True).click()
        await page.get_by_role("heading", level=1).wait_for()
        assert await violations(visit) == []
        await page.go_back()


async def test_mail_is_read_without_javascript(
    product: Product, alice: Account, context_without_scripts: BrowserContext
) -> None:
    await asyncio.to_thread(send, product, alice, "Plain", html="<p>In the frame</p>")
    visit = Visit(await context_without_scripts.new_page(), product.api_url)
    await visit.sign_in(alice.key)
    await visit.page.get_by_role("link", name="Plain").click()
    await expect(visit.page.frame_locator("iframe").get_by_text("In the frame")).to_be_visible()
    await visit.page.get_by_role("button", name="Mark as read").click()
    await expect(visit.page.get_by_role("button", name="Mark as unread")).to_be_visible()


async def test_all_messages_of_a_page_are_marked_and_read_one_after_the_other(
    product: Product, alice: Account, visit: Visit
) -> None:
    page = visit.page
    for number in range(3):
        await asyncio.to_thread(send, product, alice, f"News {number}")
    await visit.sign_in(alice.key)
    await page.get_by_label("All", exact=True).check()
    await page.get_by_role("button", name="Flag", exact=True).click()
    await expect(page.get_by_text("Flagged.")).to_have_count(3)
    await page.get_by_role("link", name="News 2").click()
    for number in (1, 0):
        await page.get_by_role("link", name="Older").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"News {number}")
    assert await violations(visit) == []
    await expect(page.get_by_role("link", name="Older")).to_have_count(0)
    await page.get_by_role("link", name="Newer").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("News 1")
    assert (visit.errors, visit.dialogs) == ([], [])


async def test_what_was_typed_is_not_left_without_a_question(alice: Account, visit: Visit) -> None:
    page = visit.page
    await visit.sign_in(alice.key)
    await page.get_by_role("link", name="Write").click()
    await page.get_by_label("Subject").wait_for()
    await page.wait_for_load_state()
    await page.get_by_label("Subject").press_sequentially("Agenda")
    async with page.expect_event("dialog") as asked:
        await page.get_by_role("link", name="Settings").click(no_wait_after=True)
    assert (await asked.value).type == "beforeunload"
    await expect(page.get_by_label("Subject")).to_have_value("Agenda")
