"""`/docs` in a browser, under its Content-Security-Policy."""

from urllib.parse import urlsplit

from tests.integration.api.api_server import HOST, open_resources, run_api
from tests.support.browser import Browser, browser, visiting
from tests.support.databases import sqlite_template, sqlite_url

__all__ = ["browser", "sqlite_template", "sqlite_url"]

_VISIBLE_SECTIONS = (
    "sections => sections.filter(each => each.checkVisibility()).map(each => each.getAttribute('data-section-id'))"
)


async def test_the_page_shows_every_operation_and_asks_no_other_host(browser: Browser, sqlite_url: str) -> None:
    async with open_resources(sqlite_url) as resources, run_api(resources) as api:
        async with api.client() as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
        async with visiting(browser, f"http://{HOST}:{api.port}/docs") as visit:
            await visit.page.locator("[data-section-id^='operation/']").first.wait_for()
            shown = await visit.page.eval_on_selector_all("[data-section-id]", _VISIBLE_SECTIONS)
    operations = {f"operation/{operation['operationId']}" for path in paths.values() for operation in path.values()}
    assert operations
    assert operations <= {*shown}
    assert visit.complaints == []
    assert {urlsplit(url).netloc for url in visit.requested} == {f"{HOST}:{api.port}"}
