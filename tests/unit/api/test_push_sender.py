"""What a browser is told: encrypted, short, as its user's preferences allow, and removed when it is gone."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from relate_accounts.types import UserId
from relate_api.push.encryption import MAX_MESSAGE_OCTETS, MAX_TEXT_OCTETS
from relate_api.push.message import PushTexts
from relate_api.push.request import TTL_SECONDS
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.types import AccountId, Delivery, Destination, Flag, FlagChange
from relate_mailstore.webhook_rules import RETRY_SECONDS
from relate_mailstore.webhook_types import Webhook, WebhookDelivery, WebhookEvent
from relate_outbound.addresses import PrivateDestinations
from tests.support.memory_backend import MemoryBackend
from tests.support.push_browser import SOME_BROWSER, decode
from tests.support.webhook_receiver import SECONDS, Receiver, receiving
from tests.unit.api.test_webhook_sender import System

RAW = b"From: Ann Example <ann@example.net>\r\nSubject: Lunch at noon?\r\n\r\nThe body stays here.\r\n"


class Pushes(System):
    """Alice's browser, and a sender whose clock the test sets."""

    async def subscribe(self, service: Receiver) -> Webhook:
        return await self.world.store.push_subscriptions.subscribe(self.alice, service.url, SOME_BROWSER.keys)

    async def deliver(self, raw: bytes = RAW) -> str:
        event = Event(EventName.DELIVERED, account_id=self.alice, recipient="alice@example.org")
        receipt = await self.world.store.deliver(Delivery(raw, (Destination(self.alice),), events=(event,)))
        return str(receipt.message_id)

    def next_due(self) -> float:
        (stored,) = self.webhooks._webhooks.values()
        return stored.due or 0.0

    async def reach(self, is_reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_reached():
                await asyncio.sleep(0.01)


@pytest.fixture
def system(world: MemoryBackend, alice: AccountId) -> Pushes:
    return Pushes(world, alice)


async def test_a_browser_is_told_of_new_mail_with_author_and_subject(system: Pushes) -> None:
    async with receiving(201) as service, system.sending():
        await system.subscribe(service)
        message_id = await system.deliver()
        posted = await service.next()
    told = SOME_BROWSER.read(posted.body)
    assert told["type"] == "new"
    assert told["data"] == {
        "id": message_id,
        "recipient": "alice@example.org",
        "mailbox": "INBOX",
        "from": "Ann Example",
        "subject": "Lunch at noon?",
    }
    assert len(posted.body) <= MAX_MESSAGE_OCTETS
    assert posted.fields["content-encoding"] == "aes128gcm"
    assert posted.fields["authorization"].startswith("vapid t=")
    assert posted.fields["urgency"] == "normal"
    assert TTL_SECONDS - SECONDS <= int(posted.fields["ttl"]) <= TTL_SECONDS
    assert len(decode(posted.fields["topic"])) == 16
    assert not posted.fields.keys() & {"webhook-signature", "traceparent"}  # which no push service needs


async def test_without_previews_neither_author_nor_subject_is_told(system: Pushes) -> None:
    await system.world.accounts.profiles.set_preferences(UserId(system.alice), {"showPreview": False})
    async with receiving(201) as service, system.sending():
        await system.subscribe(service)
        message_id = await system.deliver()
        told = SOME_BROWSER.read((await service.next()).body)
    assert told["data"] == {"id": message_id, "recipient": "alice@example.org", "mailbox": "INBOX"}


async def test_a_browser_is_told_of_returned_mail_and_not_of_sent_mail(system: Pushes) -> None:
    async with receiving(201) as service, system.sending():
        await system.subscribe(service)
        system.tell("carol@example.net")
        bounced = Event(EventName.BOUNCED, account_id=system.alice, recipient="dave@example.net", reply="550 No")
        system.world.store.events.add([bounced])
        told = SOME_BROWSER.read((await service.next()).body)
        assert service.posted.empty()
    assert (told["type"], told["data"]) == ("bounced", {"recipient": "dave@example.net", "reason": "bounced"})


async def read(system: Pushes) -> None:
    (entry,) = (await system.world.store.snapshot(system.alice)).entries
    await system.world.store.flag_message(system.alice, entry.message_id, FlagChange(add=Flag.SEEN))


async def throw_away(system: Pushes) -> None:
    mailbox = await system.world.store.mailbox(system.alice)
    (entry,) = (await system.world.store.snapshot(system.alice)).entries
    await system.world.store.move(system.alice, mailbox.id, [entry.uid], "Trash")


async def remove(system: Pushes) -> None:
    (entry,) = (await system.world.store.snapshot(system.alice)).entries
    await system.world.store.delete_message(system.alice, entry.message_id)


@pytest.mark.parametrize("change", [read, throw_away, remove])
async def test_a_message_that_needs_no_attention_is_not_pushed(
    system: Pushes, change: Callable[[Pushes], Awaitable[None]]
) -> None:
    async with receiving(201) as service:
        await system.subscribe(service)
        await system.deliver()
        await change(system)
        following = await system.deliver()
        async with system.sending() as sender:
            told = SOME_BROWSER.read((await service.next()).body)
            await system.reach(lambda: sender.results["push", "2xx"] > 0)
        assert service.posted.empty()
    assert told["data"]["id"] == following
    assert sender.results == {("push", "2xx"): 1}


@pytest.mark.parametrize("text", ["\N{PILE OF POO}" * 500, "\x01" * 500, '"' * 500, "\ud800" * 500])
async def test_the_longest_texts_fit(system: Pushes, text: str) -> None:
    delivery = WebhookDelivery(
        next(generate_message_ids()),
        WebhookEvent.BOUNCED,
        json.dumps(
            {
                "type": "bounced",
                "timestamp": "2026-11-30T15:00:00.000000Z",
                "data": dict.fromkeys(("id", "recipient", "mailbox", "reason"), text),
            }
        ),
        time.time(),
        None,
    )
    written = await PushTexts(system.world.store, system.world.accounts)(system.alice, delivery)
    assert written is not None
    assert len(written) * 5 / 4 < MAX_TEXT_OCTETS


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_removed_without_a_notice(system: Pushes, status: int) -> None:
    async with receiving(status) as service, system.sending():
        await system.subscribe(service)
        await system.deliver()
        await service.next()
        await system.reach(lambda: not system.webhooks.push_subscriptions(system.alice))
    assert len((await system.world.store.snapshot(system.alice)).entries) == 1  # no notice


async def test_a_pause_that_the_push_service_asks_for_is_kept(system: Pushes) -> None:
    async with receiving(429) as service, system.sending():
        service.retry_after = "3600"
        await system.subscribe(service)
        await system.deliver()
        first = await service.next()
        await system.reach(lambda: system.next_due() > system.now() + 3_000)
        system.skip(RETRY_SECONDS[0] * 2)
        assert system.next_due() > system.now() + 3_000
        system.skip(3_600)
        again = await service.next()
    assert again.fields["topic"] == first.fields["topic"]
    assert int(again.fields["ttl"]) < int(first.fields["ttl"])
    assert again.body != first.body  # another key, another salt


async def test_a_message_that_is_refused_does_not_hold_back_the_next(system: Pushes) -> None:
    async with receiving(413, 201) as service, system.sending():
        await system.subscribe(service)
        ids = [await system.deliver(), await system.deliver()]
        told = [SOME_BROWSER.read((await service.next()).body)["data"]["id"] for _ in ids]
    assert told == ids


async def test_endpoints_at_inner_addresses_are_refused(system: Pushes) -> None:
    async with receiving() as service, system.sending(PrivateDestinations.REFUSE):
        await system.subscribe(service)
        await system.deliver()
        await system.reach(lambda: system.next_due() > system.now() + 1)
        assert service.posted.empty()
