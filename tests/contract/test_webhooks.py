"""`Webhooks`: deliveries are stored with their events, claimed in order, and settled."""

import asyncio
import json
from dataclasses import replace
from uuid import uuid4

import pytest

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import (
    LEASE_SECONDS,
    MAX_RETRY_AFTER_SECONDS,
    MAX_WEBHOOKS_ITEMS,
    RETRY_SECONDS,
    ROTATION_SECONDS,
    settle,
)
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    DisabledReason,
    NewWebhook,
    Webhook,
    WebhookEvent,
    WebhookId,
    WebhookReply,
    WebhookState,
)
from tests.contract.outgoing import Clock, sent
from tests.support.factories import delivery

Store = MemoryMailStore | SqlMailStore
ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ALL = NewWebhook("https://hooks.example.net/a", frozenset({WebhookEvent.NEW, WebhookEvent.SENT, WebhookEvent.BOUNCED}))
OK = WebhookReply(204)


async def deliver(store: Store, account: AccountId) -> str:
    """Deliver a message with its event; its id."""
    event = Event(EventName.DELIVERED, account_id=account, recipient="alice@example.org")
    return str((await store.deliver(replace(delivery(account, origin=ORIGIN), events=(event,)))).message_id)


async def reply(store: Store, claimed: ClaimedWebhook, result: WebhookReply = OK) -> bool:
    settled = settle(claimed.delivery.attempts + 1, result, 0.0)
    return await store.webhooks.settle(claimed, result, settled)


async def claim_one(store: Store) -> ClaimedWebhook:
    (claimed,) = await store.webhooks.claim(10)
    return claimed


async def states(store: Store, webhook: Webhook) -> list[WebhookState]:
    """Of the deliveries, the oldest first."""
    page = await store.webhooks.deliveries(webhook.account_id, webhook.id, 100)
    return [each.state for _, each in reversed(page)]


async def test_a_webhook_is_told_of_what_it_asked_for(mail: Store, alice: AccountId, bob: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await mail.webhooks.create(alice, replace(ALL, events=frozenset({WebhookEvent.SENT})), "whsec_b")
    message_id = await deliver(mail, alice)
    await deliver(mail, bob)
    claimed = await claim_one(mail)
    assert claimed.webhook == webhook
    assert claimed.delivery.event is WebhookEvent.NEW
    assert claimed.delivery.origin == ORIGIN
    body = json.loads(claimed.delivery.body)
    assert body["type"] == "new"
    assert body["data"] == {"id": message_id, "recipient": "alice@example.org", "mailbox": "INBOX", "uid": 1}


async def test_what_becomes_of_outgoing_mail_is_told(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await mail.deliver(sent(alice, "one@a.example", "two@a.example"))
    outcomes = {"one@a.example": EventName.RELAYED, "two@a.example": EventName.EXPIRED}
    for claimed in await mail.queue.claim("relay", 10, 10, {}):
        event = Event(outcomes[claimed.address], account_id=alice, recipient=claimed.address, reply="250 Ok")
        await mail.queue.settle([AttemptResult(claimed.lease, QueueState.DELIVERED)], events=[event])
    found = await mail.webhooks.deliveries(alice, webhook.id, 10)
    bodies = [json.loads(each.body) for _, each in reversed(found)]
    assert [(body["type"], body["data"]["recipient"], body["data"]["reason"]) for body in bodies] == [
        ("sent", "one@a.example", "relayed"),
        ("bounced", "two@a.example", "expired"),
    ]


async def test_a_webhook_gets_its_deliveries_in_order_one_at_a_time(mail: Store, alice: AccountId) -> None:
    await mail.webhooks.create(alice, ALL, "whsec_a")
    expected = [await deliver(mail, alice) for _ in range(3)]
    told = []
    for _ in range(3):
        claimed = await claim_one(mail)
        assert await mail.webhooks.claim(10) == []
        told.append(json.loads(claimed.delivery.body)["data"]["id"])
        assert await reply(mail, claimed)
    assert told == expected
    assert await mail.webhooks.claim(10) == []


async def test_concurrent_deliveries_are_all_told(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    expected = await asyncio.gather(*(deliver(mail, alice) for _ in range(20)))
    found = await mail.webhooks.deliveries(alice, webhook.id, 100)
    assert {json.loads(each.body)["data"]["id"] for _, each in found} == set(expected)
    assert [number for number, _ in found] == list(range(20, 0, -1))


async def test_a_failed_attempt_is_repeated_after_a_pause(mail: Store, alice: AccountId, clock: Clock) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await deliver(mail, alice)
    first = await claim_one(mail)
    assert await reply(mail, first, WebhookReply(500))
    assert await mail.webhooks.claim(10) == []
    clock.now += RETRY_SECONDS[0]
    again = await claim_one(mail)
    assert (again.delivery.id, again.delivery.attempts, again.delivery.status) == (first.delivery.id, 1, 500)
    assert await reply(mail, again, WebhookReply(None, "the connection failed"))
    ((_, listed),) = await mail.webhooks.deliveries(alice, webhook.id, 10)
    assert (listed.attempts, listed.status, listed.error) == (2, None, "the connection failed")


async def test_one_that_fails_for_days_is_disabled(mail: Store, alice: AccountId, clock: Clock) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await deliver(mail, alice)
    await deliver(mail, alice)
    began = clock.now
    for pause in (*RETRY_SECONDS, 0.0):
        assert await reply(mail, await claim_one(mail), WebhookReply(503))
        clock.now += pause
    assert 2.9 < (clock.now - began) / 86_400 < 3.1
    disabled = await mail.webhooks.get(alice, webhook.id)
    assert (disabled.settings.enabled, disabled.disabled) == (False, DisabledReason.FAILING)
    assert await states(mail, webhook) == [WebhookState.FAILED, WebhookState.PENDING]
    await deliver(mail, alice)
    assert len(await states(mail, webhook)) == 2
    enabled = await mail.webhooks.update(alice, webhook.id, ALL)
    assert (enabled.settings.enabled, enabled.disabled) == (True, DisabledReason.NONE)
    assert (await claim_one(mail)).delivery.attempts == 0


async def test_410_disables_at_once(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await deliver(mail, alice)
    assert await reply(mail, await claim_one(mail), WebhookReply(410))
    assert (await mail.webhooks.get(alice, webhook.id)).disabled is DisabledReason.GONE


async def test_a_lease_that_has_ended_stores_nothing(
    mails: tuple[Store, Store], alice: AccountId, clock: Clock
) -> None:
    one, other = mails
    webhook = await one.webhooks.create(alice, ALL, "whsec_a")
    await deliver(one, alice)
    lost = await claim_one(one)
    clock.now += LEASE_SECONDS
    again = await claim_one(other)
    assert again.delivery.id == lost.delivery.id
    assert not await reply(one, lost)
    assert await states(one, webhook) == [WebhookState.PENDING]
    assert await reply(other, again)
    assert await states(one, webhook) == [WebhookState.DELIVERED]


async def test_two_processes_claim_different_webhooks(mails: tuple[Store, Store], alice: AccountId) -> None:
    one, other = mails
    for number in range(6):
        await one.webhooks.create(alice, ALL, f"whsec_{number}")
    await deliver(one, alice)
    claims = await asyncio.gather(*(store.webhooks.claim(2) for store in (one, other, one, other)))
    claimed = [each.webhook.id for claim in claims for each in claim]
    assert len(claimed) == len(set(claimed)) > 2


async def test_a_delivery_is_replayed_with_its_id(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    await deliver(mail, alice)
    first = await claim_one(mail)
    await reply(mail, first)
    await deliver(mail, alice)
    replayed = await mail.webhooks.replay(alice, webhook.id, first.delivery.id)
    assert (replayed.id, replayed.body, replayed.state) == (
        first.delivery.id,
        first.delivery.body,
        WebhookState.PENDING,
    )
    order = []
    for _ in range(2):
        claimed = await claim_one(mail)
        order.append(claimed.delivery.id)
        await reply(mail, claimed)
    assert order[1] == first.delivery.id
    with pytest.raises(WebhookNotFound):
        await mail.webhooks.replay(alice, webhook.id, uuid4())


async def test_what_is_added_to_a_disabled_webhook_waits_until_it_is_enabled(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, replace(ALL, enabled=False), "whsec_a")
    await deliver(mail, alice)
    test = await mail.webhooks.test(alice, webhook.id)
    assert await mail.webhooks.claim(10) == []
    await mail.webhooks.update(alice, webhook.id, ALL)
    assert (await claim_one(mail)).delivery.id == test.id


async def test_a_test_is_delivered(mail: Store, alice: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    test = await mail.webhooks.test(alice, webhook.id)
    claimed = await claim_one(mail)
    assert (claimed.delivery, claimed.delivery.event) == (test, WebhookEvent.TEST)


async def test_the_former_secret_signs_for_a_day(mail: Store, alice: AccountId, clock: Clock) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    rotated = await mail.webhooks.rotate(alice, webhook.id, "whsec_b")
    assert (rotated.secret, rotated.previous_secret) == ("whsec_b", "whsec_a")
    assert rotated.previous_until == clock.now + ROTATION_SECONDS
    assert "whsec" not in repr(rotated)


async def test_every_process_is_told_of_what_becomes_due(
    mails: tuple[Store, Store], alice: AccountId, clock: Clock
) -> None:
    one, other = mails
    async with other.webhooks.changes() as changes:
        webhook = await one.webhooks.create(alice, ALL, "whsec_a")
        assert await other.webhooks.next_due() is None
        waiting = asyncio.ensure_future(anext(changes))
        await deliver(one, alice)
        async with asyncio.timeout(20):
            await waiting
        assert await other.webhooks.next_due() == clock.now
        assert await reply(other, await claim_one(other))
        assert await other.webhooks.claim(1) == []  # finds that nothing is pending
        assert await other.webhooks.next_due() is None
        for change in (
            one.webhooks.test(alice, webhook.id),
            one.webhooks.update(alice, webhook.id, ALL),
        ):
            waiting = asyncio.ensure_future(anext(changes))
            await change
            async with asyncio.timeout(20):
                await waiting


async def test_a_pause_that_the_receiver_asks_for_is_kept(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.webhooks.create(alice, ALL, "whsec_a")
    await deliver(mail, alice)
    assert await reply(mail, await claim_one(mail), WebhookReply(503, retry_after=600.0))
    assert await mail.webhooks.next_due() == clock.now + 600
    clock.now += 600
    assert await reply(mail, await claim_one(mail), WebhookReply(429, retry_after=1e9))
    assert await mail.webhooks.next_due() == clock.now + MAX_RETRY_AFTER_SECONDS


async def test_what_waits_is_counted(mail: Store, alice: AccountId, clock: Clock) -> None:
    await mail.webhooks.create(alice, ALL, "whsec_a")
    await mail.webhooks.create(alice, ALL, "whsec_b")
    began = clock.now
    await deliver(mail, alice)
    assert (await mail.webhooks.statistics())[0] == (2, 0, began, began)
    for result in (WebhookReply(410), WebhookReply(500)):
        (claimed,) = await mail.webhooks.claim(1)
        assert await reply(mail, claimed, result)
    clock.now += 1
    await deliver(mail, alice)
    webhooks, subscriptions = await mail.webhooks.statistics()
    assert webhooks == (1, 1, began, began + RETRY_SECONDS[0])
    assert subscriptions == (0, 0, None, None)


async def test_webhooks_are_their_owners(mail: Store, alice: AccountId, bob: AccountId) -> None:
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    assert await mail.webhooks.of_account(bob) == []
    for call in (
        mail.webhooks.get(bob, webhook.id),
        mail.webhooks.update(bob, webhook.id, ALL),
        mail.webhooks.rotate(bob, webhook.id, "whsec_b"),
        mail.webhooks.remove(bob, webhook.id),
        mail.webhooks.test(bob, webhook.id),
        mail.webhooks.deliveries(bob, webhook.id, 10),
        mail.webhooks.replay(bob, webhook.id, uuid4()),
        mail.webhooks.get(alice, WebhookId(2**40)),
    ):
        with pytest.raises(WebhookNotFound):
            await call
    assert await mail.webhooks.of_account(alice) == [webhook]


async def test_an_account_has_a_limited_number_of_webhooks(mail: Store, alice: AccountId, bob: AccountId) -> None:
    for _ in range(MAX_WEBHOOKS_ITEMS):
        await mail.webhooks.create(alice, ALL, "whsec_a")
    with pytest.raises(TooManyWebhooks):
        await mail.webhooks.create(alice, ALL, "whsec_a")
    await mail.webhooks.create(bob, ALL, "whsec_a")


async def test_removed_webhooks_are_told_nothing(mail: Store, alice: AccountId) -> None:
    one = await mail.webhooks.create(alice, ALL, "whsec_a")
    await mail.webhooks.create(alice, ALL, "whsec_b")
    await deliver(mail, alice)
    await mail.webhooks.remove(alice, one.id)
    assert (await claim_one(mail)).webhook.secret == "whsec_b"
    await mail.forget_subscribers(alice)
    assert await mail.webhooks.of_account(alice) == []
    await deliver(mail, alice)
    assert await mail.webhooks.claim(10) == []
