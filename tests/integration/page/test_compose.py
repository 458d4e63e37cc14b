"""Writing with a browser: to another user of this server, a reply, a forwarded message, a draft."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.integration.page.conftest import Visit, send, violations
from tests.integration.product.accounts import Account
from tests.support.product import Product


@pytest.fixture
def bob(product: Product) -> Account:
    """Another user."""
    return Account.create(product, "bob")


async def write(page: Page, to: str, subject: str, text: str) -> None:
    """Open the form, and type."""
    await page.get_by_role("link", name="Write").click()
    await page.get_by_label("To", exact=True).fill(to)
    await page.wait_for_load_state()  # with its scripts
    await page.get_by_label("Subject").fill(subject)
    await page.get_by_label("Text", exact=True).fill(text)


async def read_as(visit: Visit, account: Account, subject: str) -> None:
    """Sign out, and open a message of another user."""
    await visit.page.get_by_role("button", name="Sign out").click()
    await visit.sign_in(account.key)
    await visit.page.get_by_role("link", name=subject).first.click()
    await visit.page.get_by_role("heading", name=subject).wait_for()


async def converse(visit: Visit, alice: Account, bob: Account, path: Path) -> None:
    """Alice sends a file, Bob replies and forwards, and Alice sees what became of it."""
    page = visit.page
    notes = path / "notes.txt"
    notes.write_text("In the file.\n")
    await visit.sign_in(alice.key)
    await write(page, f"Bob Example <{bob.address}>", "Agenda", "At noon?")
    await page.get_by_label("Files", exact=True).set_input_files(notes)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_contain_text("The message was sent.")
    await page.get_by_role("link", name="Where it went").click()
    await expect(page.locator(".steps").get_by_text("Delivered", exact=True).first).to_be_visible()
    await page.get_by_role("link", name="Sent").click()
    await page.get_by_role("link", name="Agenda").click()
    await expect(page.get_by_label("Where it is")).to_contain_text(f"{bob.address} Delivered")

    await read_as(visit, bob, "Agenda")
    await expect(page.get_by_role("link", name="notes.txt")).to_be_visible()
    await page.get_by_role("link", name="Reply", exact=True).click()
    await expect(page.get_by_label("To", exact=True)).to_have_value(alice.address)
    await expect(page.get_by_label("Subject")).to_have_value("Re: Agenda")
    await expect(page.get_by_label("Text", exact=True)).to_have_value("\n\n" + await quoted(page))
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_contain_text("The message was sent.")
    await page.get_by_role("link", name="Agenda").click()
    await page.get_by_role("link", name="Forward").click()
    await expect(page.get_by_text("The message “Agenda”")).to_be_visible()
    await page.get_by_label("To", exact=True).fill(alice.address)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_contain_text("The message was sent.")

    await read_as(visit, alice, "Fwd: Agenda")
    await expect(page.get_by_role("link", name="Agenda.eml")).to_be_visible()
    await page.get_by_role("link", name="Inbox").click()
    await expect(page.get_by_role("link", name="Re: Agenda")).to_be_visible()


async def quoted(page: Page) -> str:
    """The quoted part of a reply, which begins with the time of the message."""
    text = await page.get_by_label("Text", exact=True).input_value()
    assert text.endswith(" wrote:\n> At noon?\n")
    return text.strip("\n") + "\n"


async def test_two_people_write_to_each_other(alice: Account, bob: Account, visit: Visit, tmp_path: Path) -> None:
    await converse(visit, alice, bob, tmp_path)
    assert (visit.errors, visit.dialogs, visit.foreign_requests()) == ([], [], [])


async def test_two_people_write_to_each_other_without_javascript(
    product: Product, alice: Account, bob: Account, context_without_scripts: BrowserContext, tmp_path: Path
) -> None:
    await converse(Visit(await context_without_scripts.new_page(), product.api_url), alice, bob, tmp_path)


async def test_a_draft_is_saved_and_sent(alice: Account, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    await visit.sign_in(alice.key)
    await write(page, "", "Later", "To be continued")
    await page.get_by_label("Files", exact=True).set_input_files([tmp_path / "one.txt", tmp_path / "two.txt"])
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.get_by_role("status")).to_contain_text("The draft was saved.")
    await page.get_by_role("link", name="Drafts").click()
    await page.get_by_role("link", name="Later").click()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("To be continued\n")
    await page.get_by_label("Remove one.txt").check()
    await page.get_by_label("To", exact=True).fill(alice.address)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("link", name="Later").click()
    await expect(page.get_by_role("link", name="two.txt")).to_be_visible()
    await expect(page.get_by_role("link", name="one.txt")).to_be_hidden()
    await page.get_by_role("link", name="Drafts").click()
    await expect(page.get_by_text("There is no mail here.")).to_be_visible()


async def test_an_error_keeps_the_text_and_enter_sends_nothing(alice: Account, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    (tmp_path / "kept.txt").write_text("kept")
    await visit.sign_in(alice.key)
    nobody = alice.address.replace("alice", "nobody")
    await write(page, nobody, "Precious", "A long text")
    await page.get_by_label("Subject").press("Enter")
    await page.get_by_label("Files", exact=True).set_input_files(tmp_path / "kept.txt")
    await page.get_by_role("button", name="Send").click()
    to = page.get_by_label("To", exact=True)
    await expect(to).to_have_accessible_description(re.compile(f"^{re.escape(nobody)}: there is no such user here"))
    await expect(page.get_by_label("Text", exact=True)).to_have_value("A long text")
    await expect(page.get_by_role("link", name="kept.txt")).to_be_visible()
    await to.fill(alice.address)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    await expect(page.get_by_text("1 message, 1 unread")).to_be_visible()


async def test_a_double_click_sends_once(product: Product, alice: Account, visit: Visit, browser_without: Page) -> None:
    for page in (visit.page, browser_without):
        await Visit(page, product.api_url).sign_in(alice.key)
        await write(page, alice.address, "Once", "Only once")
        await page.get_by_role("button", name="Send").dblclick()
        await expect(page.get_by_role("status")).to_contain_text("The message was sent.")
    await visit.page.reload()
    await visit.page.get_by_role("link", name="Inbox").click()
    await expect(visit.page.get_by_text("2 messages, 2 unread")).to_be_visible()


@pytest.fixture
async def browser_without(context_without_scripts: BrowserContext) -> Page:
    """A page that runs no scripts."""
    return await context_without_scripts.new_page()


async def test_files_beyond_the_limit_are_told_before_they_are_sent(
    alice: Account, visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    await visit.sign_in(alice.key)
    await write(page, alice.address, "Large", "See the file")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(49_000_000)
    await page.get_by_label("Files", exact=True).set_input_files(tmp_path / "large.bin")
    await page.get_by_role("button", name="Send").click()
    assert await page.get_by_label("Files", exact=True).evaluate("field => field.validationMessage")
    await expect(page.get_by_label("Subject")).to_have_value("Large")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_forms(product: Product, alice: Account, visit: Visit, scheme: str) -> None:
    page = visit.page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await asyncio.to_thread(send, product, alice, "News")
    await visit.sign_in(alice.key)
    await write(page, "nobody", "x", "y")
    assert await violations(visit) == []
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Not an email address")).to_be_visible()
    assert await violations(visit) == []
    await page.get_by_label("To", exact=True).fill(alice.address)
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.get_by_text("The draft was saved.")).to_be_visible()
    assert await violations(visit) == []
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text("The message was sent.")).to_be_visible()
    assert await violations(visit) == []
    await page.get_by_role("link", name="Sent").click()
    await page.get_by_role("link", name="x y").click()
    await expect(page.get_by_label("Where it is")).to_be_visible()
    assert await violations(visit) == []


async def test_what_was_typed_is_there_after_another_sign_in(alice: Account, visit: Visit) -> None:
    page = visit.page
    await visit.sign_in(alice.key)
    await write(page, alice.address, "Agenda", "At noon?")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
    await page.get_by_label("API key").fill(alice.key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("At noon?")
    await expect(page.get_by_label("To", exact=True)).to_have_value(alice.address)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_contain_text("The message was sent.")
    assert "done=" not in page.url
    assert await page.evaluate("sessionStorage.length") == 0
    assert (visit.errors, visit.dialogs) == ([], [])


async def test_a_refused_form_is_left_only_after_a_question_and_found_again(alice: Account, visit: Visit) -> None:
    page = visit.page
    await visit.sign_in(alice.key)
    await write(page, "nonsense", "Agenda", "At noon?")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_contain_text("was not sent")
    await page.wait_for_load_state()
    async with page.expect_event("dialog") as asked:
        await page.get_by_role("link", name="Inbox").click(no_wait_after=True)
    assert (await asked.value).type == "beforeunload"
    visit.agrees = True
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("heading", name="Inbox").wait_for()
    await page.go_back()
    await expect(page.get_by_label("Text", exact=True)).to_have_value("At noon?")


async def test_discarding_a_message_that_was_never_saved_is_asked(alice: Account, visit: Visit) -> None:
    page = visit.page
    await visit.sign_in(alice.key)
    await write(page, "", "Agenda", "At noon?")
    async with page.expect_event("dialog") as asked:
        await page.get_by_role("button", name="Discard").click(no_wait_after=True)
    assert (await asked.value).type == "beforeunload"
    await expect(page.get_by_label("Text", exact=True)).to_have_value("At noon?")
