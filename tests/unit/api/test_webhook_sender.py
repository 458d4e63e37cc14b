"""What is posted to a webhook: signed, in order, repeated after a failure, and never to an inner address."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import standardwebhooks

from relate_api.push.message import PushTexts
from relate_api.push.request import PushRequests
from relate_api.webhooks.notice import SUBJECT, Teller
from relate_api.webhooks.sender import WebhookSender
from relate_api.webhooks.signing import make_secret
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import RETRY_SECONDS
from relate_mailstore.webhook_types import DisabledReason, NewWebhook, Webhook, WebhookEvent, WebhookState
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.client import OutboundClient
from relate_supervisor import Supervisor
from tests.support.memory_backend import MemoryBackend
from tests.support.webhook_receiver import SECONDS, Posted, receiving
from tests.unit.api.clients import PUSH_KEY

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class System:
    """Alice's webhooks, and a sender whose clock the test sets."""

    def __init__(self, world: MemoryBackend, alice: AccountId) -> None:
        self.webhooks, self.alice, self.world = world.store.webhooks, alice, world
        self.ahead = 0.0
        self.webhooks._clock = self.now

    def now(self) -> float:
        return time.time() + self.ahead

    async def add(self, url: str) -> Webhook:
        settings = NewWebhook(url, frozenset({WebhookEvent.SENT}))
        return await self.webhooks.create(self.alice, settings, make_secret())

    def tell(self, *recipients: str) -> None:
        for recipient in recipients:
            self.world.store.events.add([Event(EventName.RELAYED, account_id=self.alice, recipient=recipient)])

    @asynccontextmanager
    async def sending(self, private: PrivateDestinations = PrivateDestinations.ALLOW) -> AsyncIterator[WebhookSender]:
        client = OutboundClient(private=private, plaintext_loopback=True)
        teller = Teller(self.world.store, self.world.accounts, "mail.example.org", self.now)
        texts = PushTexts(self.world.store, self.world.accounts)
        push = PushRequests(PUSH_KEY, texts, self.now)
        async with WebhookSender(
            self.webhooks, client, teller, push, Supervisor(), traceparent=lambda: TRACEPARENT, clock=self.now
        ) as started:
            yield started

    def skip(self, seconds: float) -> None:
        """Let time pass: the sender looks again, as when its timer ends."""
        self.ahead += seconds
        self.webhooks._wakes.wake()

    async def wait_for_attempt(self, webhook: Webhook) -> None:
        """Wait until the result of an attempt of the oldest delivery is stored."""
        async with asyncio.timeout(SECONDS):
            while (await self.webhooks.deliveries(self.alice, webhook.id, 9))[-1][1].attempts == 0:
                await asyncio.sleep(0.01)

    async def wait_for(self, webhook: Webhook, reached: Callable[[list[WebhookState]], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not reached([each.state for _, each in await self.webhooks.deliveries(self.alice, webhook.id, 9)]):
                await asyncio.sleep(0.01)


@pytest.fixture
def system(world: MemoryBackend, alice: AccountId) -> System:
    return System(world, alice)


def all_delivered(states: list[WebhookState]) -> bool:
    return set(states) == {WebhookState.DELIVERED}


async def test_what_is_posted_is_verified_by_the_library_of_the_specification(system: System) -> None:
    async with receiving() as receiver, system.sending():
        webhook = await system.add(receiver.url)
        system.tell("carol@example.net")
        posted = await receiver.next()
        await system.wait_for(webhook, all_delivered)
    payload = standardwebhooks.Webhook(webhook.secret).verify(posted.body, posted.fields)
    assert payload["type"] == "sent"
    assert payload["data"]["recipient"] == "carol@example.net"
    ((_, delivery),) = await system.webhooks.deliveries(system.alice, webhook.id, 9)
    assert posted.fields["webhook-id"] == str(delivery.id)
    assert posted.fields["traceparent"] == TRACEPARENT
    assert posted.fields["content-type"] == "application/json"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(make_secret()).verify(posted.body, posted.fields)


NODE = shutil.which("node")
PROGRAM = Path(__file__).parents[2] / "node" / "verify.mjs"
needs_node = pytest.mark.skipif(
    NODE is None or not (PROGRAM.parent / "node_modules").exists(),
    reason="node, or its packages, are not installed: make javascript",
)


async def run_node(secret: str, posted: Posted) -> subprocess.CompletedProcess[str]:
    """Verify what was posted with the JavaScript library of the specification."""
    webhook = json.dumps({"secret": secret, "body": posted.body.decode(), "fields": posted.fields})
    command = partial(subprocess.run, [NODE, PROGRAM], input=webhook, capture_output=True, text=True, timeout=SECONDS)
    return await asyncio.to_thread(command)


@needs_node
async def test_what_is_posted_is_verified_by_the_library_for_javascript(system: System) -> None:
    async with receiving() as receiver, system.sending():
        webhook = await system.add(receiver.url)
        system.tell("zoë@example.net")
        posted = await receiver.next()
    verified = await run_node(webhook.secret, posted)
    assert json.loads(verified.stdout or "null") == json.loads(posted.body), verified.stderr
    refused = await run_node(make_secret(), posted)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "No matching signature" in refused.stderr


async def test_after_a_rotation_both_secrets_verify_for_a_day(system: System) -> None:
    async with receiving() as receiver:
        webhook = await system.add(receiver.url)
        rotated = await system.webhooks.rotate(system.alice, webhook.id, make_secret())
        async with system.sending():
            system.tell("carol@example.net")
            posted = await receiver.next()
            for secret in (webhook.secret, rotated.secret):
                standardwebhooks.Webhook(secret).verify(posted.body, posted.fields)
            system.skip(25 * 3600)
            system.tell("dave@example.net")
            assert len((await receiver.next()).fields["webhook-signature"].split()) == 1


async def test_deliveries_are_in_order_also_after_a_failure(system: System) -> None:
    async with receiving(500) as receiver, system.sending():
        webhook = await system.add(receiver.url)
        system.tell("1@example.net", "2@example.net", "3@example.net")
        refused = await receiver.next()
        await system.wait_for_attempt(webhook)
        assert receiver.posted.empty()
        system.skip(RETRY_SECONDS[0] * 2)
        posted = [await receiver.next() for _ in range(3)]
    assert posted[0].fields["webhook-id"] == refused.fields["webhook-id"]
    assert [each.body.decode().partition("@")[0][-1] for each in posted] == ["1", "2", "3"]


async def test_a_receiver_that_does_not_answer_delays_no_other(system: System) -> None:
    async with receiving(None) as silent, receiving() as other, system.sending():
        await system.add(silent.url)
        webhook = await system.add(other.url)
        system.tell("1@example.net", "2@example.net")
        await silent.next()
        await system.wait_for(webhook, all_delivered)
        assert silent.posted.empty()


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
async def test_no_redirect_is_followed_and_other_statuses_are_failures(system: System, status: int) -> None:
    async with receiving(status) as receiver, system.sending():
        webhook = await system.add(receiver.url)
        system.tell("1@example.net")
        await receiver.next()
        await system.wait_for_attempt(webhook)
        assert receiver.posted.empty()
    ((_, delivery),) = await system.webhooks.deliveries(system.alice, webhook.id, 1)
    assert (delivery.state, delivery.status) == (WebhookState.PENDING, status)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "[::ffff:127.0.0.1]", "169.254.169.254"])
async def test_inner_addresses_are_refused(system: System, host: str) -> None:
    async with receiving() as receiver, system.sending(PrivateDestinations.REFUSE):
        webhook = await system.add(receiver.url.replace("http://127.0.0.1", f"https://{host}"))
        system.tell("1@example.net")
        await system.wait_for_attempt(webhook)
        assert receiver.posted.empty()
    ((_, delivery),) = await system.webhooks.deliveries(system.alice, webhook.id, 1)
    assert (delivery.status, delivery.error != "") == (None, True)


async def test_the_owner_is_told_of_a_webhook_that_is_gone(system: System) -> None:
    async with receiving(410) as receiver, system.sending():
        webhook = await system.add(receiver.url)
        system.tell("1@example.net")
        await receiver.next()
        async with asyncio.timeout(SECONDS):
            while (await system.webhooks.get(system.alice, webhook.id)).disabled is not DisabledReason.GONE:
                await asyncio.sleep(0.01)
    (entry,) = (await system.world.store.snapshot(system.alice)).entries
    notice = await system.world.store.open(system.alice, entry.message_id)
    octets = await notice.read()
    assert f"Subject: {SUBJECT}".encode() in octets
    assert receiver.url.encode() in octets.replace(b"\r\n", b" ")
    assert webhook.secret.encode() not in octets
