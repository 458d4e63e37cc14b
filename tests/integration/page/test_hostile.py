"""Mail of strangers in a browser: nothing runs, nothing is requested elsewhere, and no other site frames the page."""

import asyncio
from contextlib import suppress

import pytest
from playwright.async_api import Browser, Error

from relate_api.page.html_mail.sanitiser import sanitise
from tests.integration.page.conftest import Visit, send
from tests.integration.product.accounts import Account
from tests.support.hostile_html import HOSTILE_HTML, HOSTILE_TEXTS, RAN, TRACKER
from tests.support.product import Product

SETTLED_MILLISECONDS = 50
"""Handlers of images, animations and frames run in a later turn of the browser's loop."""


@pytest.fixture
async def bare(browser: Browser) -> Visit:
    """A page without any policy, on which only the sanitiser protects."""
    context = await browser.new_context()
    await context.route("**/*", lambda route: route.abort())
    visit = Visit(await context.new_page(), "http://none.invalid")
    visit.watch()
    return visit


async def show(visit: Visit, html: str) -> None:
    await visit.page.set_content(html, wait_until="domcontentloaded")
    await visit.page.wait_for_timeout(SETTLED_MILLISECONDS)


async def test_the_corpus_does_run_where_nothing_protects(bare: Visit) -> None:
    """Else the other tests could not fail."""
    running = 0
    for html in HOSTILE_HTML:
        bare.console.clear()
        with suppress(Error):  # some of it leads the page elsewhere
            await show(bare, html)
        running += RAN in bare.console
    assert running > len(HOSTILE_HTML) // 3
    assert any(TRACKER in url for url in bare.requests)


async def test_sanitised_html_runs_nothing_even_without_a_policy(bare: Visit) -> None:
    for html in HOSTILE_HTML:
        await show(bare, sanitise(html, {}).html)
        for link in await bare.page.get_by_role("link").all():
            await link.evaluate("link => link.removeAttribute('target')")
            if "mailto:" not in (await link.get_attribute("href") or ""):
                assert str(await link.get_attribute("href")).startswith("http")
        assert (html, bare.console) == (html, [])
        assert (html, bare.foreign_requests()) == (html, [])
    assert bare.dialogs == []


async def test_hostile_mail_runs_nothing_in_the_page(product: Product, alice: Account, visit: Visit) -> None:
    """All of the corpus in few messages, because each is opened in the browser."""
    size = 12
    for start in range(0, len(HOSTILE_HTML), size):
        html = "".join(HOSTILE_HTML[start : start + size]).replace("\x00", "")
        await asyncio.to_thread(send, product, alice, f"Corpus {start}", html)
    for number, text in enumerate(HOSTILE_TEXTS):
        await asyncio.to_thread(send, product, alice, f"{number} {text}", text=text + "\n")
    await visit.sign_in(alice.key)
    page = visit.page
    paths = await page.locator(".row").evaluate_all("rows => rows.map(row => row.getAttribute('href'))")
    assert len(paths) == -(-len(HOSTILE_HTML) // size) + len(HOSTILE_TEXTS)
    for path in paths:
        for view in (path, path.replace("messages", "threads"), f"{path}/html", f"{path}/journey", f"{path}/source"):
            await page.goto(visit.url + view)
            await page.wait_for_timeout(SETTLED_MILLISECONDS)
        assert visit.foreign_requests() == []
    assert RAN not in visit.console
    assert (visit.dialogs, visit.errors) == ([], [])


async def test_remote_images_are_loaded_when_the_reader_asks(product: Product, alice: Account, visit: Visit) -> None:
    image = f"https://{TRACKER}/pixel.gif"
    await visit.page.context.route(f"https://{TRACKER}/**", lambda route: route.abort())
    await asyncio.to_thread(send, product, alice, "Newsletter", f'<p>Hello</p><img src="{image}">')
    await visit.sign_in(alice.key)
    await visit.page.get_by_role("link", name="Newsletter").click()
    await visit.page.frame_locator("iframe").get_by_text("Hello").wait_for()
    assert visit.foreign_requests() == []
    async with visit.page.expect_request(image) as requested:
        await visit.page.get_by_role("link", name="Load").click()
    assert "referer" not in (await (await requested.value).all_headers())


async def test_the_frame_has_an_origin_of_its_own(product: Product, alice: Account, visit: Visit) -> None:
    await asyncio.to_thread(send, product, alice, "Framed", "<p>Hello</p>")
    await visit.sign_in(alice.key)
    await visit.page.get_by_role("link", name="Framed").click()
    await visit.page.frame_locator("iframe").get_by_text("Hello").wait_for()
    assert await visit.page.evaluate("() => document.querySelector('iframe').contentDocument") is None


@pytest.mark.parametrize(("path", "is_shown"), [("/", False), ("/sign-in", False), ("/healthz/live", True)])
async def test_no_other_document_frames_the_page(visit: Visit, path: str, is_shown: bool) -> None:
    """A probe has no policy: it shows that the frame would load."""
    await visit.page.set_content(f'<iframe src="{visit.url}{path}"></iframe>')
    await visit.page.wait_for_load_state("load")
    _, frame = visit.page.frames
    assert frame.url.startswith(visit.url) is is_shown


async def test_a_form_of_another_site_changes_nothing(product: Product, alice: Account, visit: Visit) -> None:
    await asyncio.to_thread(send, product, alice, "Stays")
    await visit.sign_in(alice.key)
    other = "http://other.invalid/"
    form = f'<form method="post" action="{visit.url}/sign-out"><button>Win</button></form>'
    await visit.page.context.route(other, lambda route: route.fulfill(body=form, content_type="text/html"))
    await visit.page.goto(other)
    await visit.page.get_by_role("button", name="Win").click()
    await visit.page.wait_for_url(f"{visit.url}/**")
    await visit.page.goto(f"{visit.url}/")
    await visit.page.get_by_role("link", name="Stays").wait_for()  # still signed in
