"""A visitor of the page without JavaScript: signs in, follows links, and sends forms."""

import re
from html import unescape

import httpx

from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend

COOKIE = "__Host-relate-session"


def form_secret(response: httpx.Response) -> str:
    """The secret of a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', response.text)
    assert found is not None, response.text
    return unescape(found[1])


async def sign_in(client: httpx.AsyncClient, key: str, target: str = "/") -> httpx.Response:
    """Send the form of the sign-in."""
    secret = form_secret(await client.get("/sign-in"))
    return await client.post("/sign-in", data={"csrf": secret, "key": key, "next": target})


async def act(client: httpx.AsyncClient, action: str, *ids: object, **fields: str) -> httpx.Response:
    """Send the form that changes messages."""
    secret = form_secret(await client.get("/"))
    form = {"csrf": secret, "action": action, "id": [str(each) for each in ids], **fields}
    return await client.post("/messages/actions", data=form)


async def places(world: MemoryBackend, account_id: AccountId, message_id: object) -> list[str]:
    """The mailboxes of a message."""
    return list((await world.store.message(account_id, message_id)).mailboxes)  # type: ignore[arg-type]
