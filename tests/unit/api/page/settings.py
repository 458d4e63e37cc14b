"""Forms of the settings, as a browser without JavaScript sends them."""

import re
from html import unescape

import httpx

from tests.unit.api.page.browsing import form_secret


async def submit(
    client: httpx.AsyncClient, path: str, page: str = "/settings/labels", **fields: object
) -> httpx.Response:
    """Send a form with the secret that a `page` of this session has."""
    secret = form_secret(await client.get(page))
    return await client.post(path, data={"csrf": secret, **fields})


def plain(response: httpx.Response) -> str:
    """The text of a page as it is read."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())
