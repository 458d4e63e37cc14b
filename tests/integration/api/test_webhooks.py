"""Webhooks on SQLite and PostgreSQL: what is stored is posted, over restarts and by several processes."""

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import standardwebhooks

from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_api.webhooks.signing import make_secret
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_types import NewWebhook, WebhookEvent
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
from tests.support.webhook_receiver import receiving

__all__ = ["database_url", "postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]

MESSAGES = 10


async def deliver(store: MailStore, alice: AccountId) -> str:
    event = Event(EventName.DELIVERED, account_id=alice, recipient="alice@example.org")
    return str((await store.deliver(replace(delivery(alice), events=(event,)))).message_id)


async def test_each_delivery_is_posted_once_in_order_over_a_restart_and_by_two_processes(
    database_url: str, tmp_path: Path
) -> None:
    settings = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=tmp_path)
    client = OutboundClient(private=PrivateDestinations.ALLOW, plaintext_loopback=True)
    expected = list[str]()
    async with receiving() as receiver:
        async with open_resources(database_url) as resources:
            user = await resources.accounts.add_user("alice@example.org")
            alice = AccountId(user.id)
            wanted = NewWebhook(receiver.url, frozenset({WebhookEvent.NEW}))
            webhook = await resources.webhooks.create(alice, wanted, make_secret())
            expected += [await deliver(resources.store, alice) for _ in range(MESSAGES)]
        async with AsyncExitStack() as stack:
            for _ in range(2):
                resources = await stack.enter_async_context(open_resources(database_url))
                await stack.enter_async_context(serve_api(settings, SmtpSettings(), resources, client=client))
            expected += [await deliver(resources.store, alice) for _ in range(MESSAGES)]
            posted = [await receiver.next() for _ in expected]
    verify = standardwebhooks.Webhook(webhook.secret).verify
    assert [verify(each.body, each.fields)["data"]["id"] for each in posted] == expected
    assert set(Counter(each.fields["webhook-id"] for each in posted).values()) == {1}
