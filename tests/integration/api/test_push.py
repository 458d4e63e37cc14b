"""Push messages on SQLite and PostgreSQL: every process has the same key, and pushes what another has stored."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.types import AccountId
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.client import OutboundClient
from relate_submission.config import SmtpSettings
from tests.integration.api.api_server import HOST, open_resources
from tests.support.databases import (
    database_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.factories import delivery
from tests.support.push_browser import SOME_BROWSER
from tests.support.webhook_receiver import receiving

__all__ = ["database_url", "postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]


async def public_key(port: int) -> str:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"http://{HOST}:{port}/api/pushsubscriptions/vapid-public-key")
    return str(response.json()["publicKey"])


async def test_a_browser_is_pushed_what_any_process_stores(database_url: str, tmp_path: Path) -> None:
    settings = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=tmp_path)
    client = OutboundClient(private=PrivateDestinations.ALLOW, plaintext_loopback=True)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(receiving(201))
        other = await stack.enter_async_context(open_resources(database_url))  # a process without an API
        alice = AccountId((await other.accounts.add_user("alice@example.org")).id)
        await other.push_subscriptions.subscribe(alice, service.url, SOME_BROWSER.keys)
        keys = set[str]()
        for _ in range(2):
            resources = await stack.enter_async_context(open_resources(database_url))
            served = serve_api(settings, SmtpSettings(), resources, client=client)
            keys.add(await public_key((await stack.enter_async_context(served)).plain))
        event = Event(EventName.DELIVERED, account_id=alice, recipient="alice@example.org")
        receipt = await other.store.deliver(replace(delivery(alice), events=(event,)))
        posted = await service.next()
        assert service.posted.empty()
    told = SOME_BROWSER.read(posted.body)
    assert told["data"]["id"] == str(receipt.message_id)
    assert told["data"]["mailbox"] == "INBOX"
    (key,) = keys
    assert posted.fields["authorization"].endswith(f", k={key}")
