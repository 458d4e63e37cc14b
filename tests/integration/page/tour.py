"""A person uses all parts of the page once, and axe looks at each."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.integration.page.conftest import Visit, violations

ADMINISTRATION = ("Overview", "Users", "Domains", "Queue", "Suppressions", "Events")


class Tour:
    """`address` is the person's, `key` has the scopes `app` and `admin`, `folder` is for a file to attach."""

    def __init__(self, visit: Visit, address: str, key: str, folder: Path) -> None:
        self._visit = visit
        self._address = address
        self._key = key
        self._folder = folder

    @property
    def _page(self) -> Page:
        return self._visit.page

    async def run(self) -> None:
        """Sign in, write, read, reply, search, label, filter, follow a message, administer, sign out."""
        await self._visit.sign_in(self._key)
        await self._check()
        await self._write_to_oneself()
        await self._read_and_reply()
        await self._search()
        await self._label()
        await self._filter()
        await self._follow()
        await self._administer()
        await self._page.get_by_role("button", name="Sign out").click()
        await expect(self._page.get_by_label("API key")).to_be_visible()
        await self._check()
        assert (self._visit.errors, self._visit.dialogs, self._visit.foreign_requests()) == ([], [], [])
        assert self._visit.complaints == []

    async def _check(self) -> None:
        assert await violations(self._visit) == []

    async def _told(self, sentence: str) -> None:
        await expect(self._page.get_by_role("status")).to_contain_text(sentence)
        await self._check()

    async def _write_to_oneself(self) -> None:
        page, notes = self._page, self._folder / "notes.txt"
        notes.write_text("In the file.\n")
        await page.get_by_role("link", name="Write").click()
        await self._check()
        await page.get_by_label("To", exact=True).fill(self._address)
        await page.get_by_label("Subject").fill("Agenda")
        await page.get_by_label("Text", exact=True).fill("At noon?")
        await page.get_by_label("Files", exact=True).set_input_files(notes)
        await page.get_by_role("button", name="Send").click()
        await self._told("The message was sent.")

    async def _read_and_reply(self) -> None:
        page = self._page
        await page.get_by_role("link", name="Agenda").click()
        await expect(page.get_by_role("link", name="notes.txt")).to_be_visible()
        await self._check()
        await page.get_by_role("link", name="Reply", exact=True).click()
        await expect(page.get_by_label("Subject")).to_have_value("Re: Agenda")
        await page.get_by_role("button", name="Send").click()
        await self._told("The message was sent.")

    async def _search(self) -> None:
        page = self._page
        await page.get_by_label("Search all mail").fill("subject:agenda has:attachment in:INBOX")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_text("1 message", exact=True)).to_be_visible()
        await self._check()

    async def _label(self) -> None:
        page = self._page
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("link", name="Labels").click()
        await page.get_by_label("New label").fill("To do")
        await page.get_by_role("button", name="Create").click()
        await self._told("The label was saved.")
        await page.goto(f"{self._visit.url}/")
        await page.get_by_label("Mark: Re: Agenda").check()
        await page.get_by_role("button", name="Add label").click()
        await page.get_by_role("navigation", name="Mailboxes").get_by_role("link", name="To do").click()
        await expect(page.get_by_role("link", name="Re: Agenda")).to_be_visible()
        await self._check()

    async def _filter(self) -> None:
        page = self._page
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("link", name="New filter").click()
        await page.get_by_label("The subject contains").fill("invoice")
        await page.get_by_label("Move it to").select_option("Archive")
        await page.get_by_role("button", name="What would this do?").click()
        await self._told("matches.")
        await page.get_by_label("Name", exact=True).fill("Invoices")
        await page.get_by_role("button", name="Save").click()
        await self._told("The filter was saved.")
        for section in ("Mail programs", "Keys"):
            await page.get_by_role("link", name=section).click()
            await page.get_by_role("heading", level=1).wait_for()
            await self._check()

    async def _follow(self) -> None:
        page = self._page
        await page.goto(f"{self._visit.url}/")
        await page.get_by_role("link", name="Re: Agenda").click()
        await page.get_by_role("link", name="Journey").click()
        await expect(page.locator(".steps").get_by_text("Delivered", exact=True).first).to_be_visible()
        await self._check()

    async def _administer(self) -> None:
        page = self._page
        await page.get_by_role("link", name="Administration").click()
        for section in ADMINISTRATION:
            await page.get_by_role("navigation", name="Administration").get_by_role("link", name=section).click()
            await expect(page.get_by_role("heading", level=1)).to_contain_text(section)
            await self._check()
