"""`PushSubscriptions`: told like webhooks, but apart from them, and removed when they are gone."""

import asyncio
import json

import pytest

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import MAX_PUSH_SUBSCRIPTIONS_ITEMS, RETRY_SECONDS, settle
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    NewWebhook,
    PushKeys,
    WebhookEvent,
    WebhookId,
    WebhookReply,
    WebhookState,
)
from tests.contract.outgoing import Clock, sent
from tests.contract.test_webhooks import ALL, Store, deliver

URL = "https://push.example.net/send/abc"
KEYS, NEW_KEYS = PushKeys("p256dh", "auth"), PushKeys("other", "secret")


async def claim_one(store: Store) -> ClaimedWebhook:
    (claimed,) = await store.webhooks.claim(10)
    return claimed


async def reply(store: Store, claimed: ClaimedWebhook, status: int | None) -> WebhookState:
    """Settle an attempt; the state of its delivery."""
    result = WebhookReply(status)
    settled = settle(claimed.delivery.attempts + 1, result, 0.0, is_push=claimed.webhook.is_push)
    assert await store.webhooks.settle(claimed, result, settled)
    return settled.delivery


async def test_a_subscription_is_told_of_new_and_returned_mail(mail: Store, alice: AccountId, bob: AccountId) -> None:
    subscription = await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    assert (subscription.keys, subscription.settings.url) == (KEYS, URL)
    message_id = await deliver(mail, alice)
    await deliver(mail, bob)
    claimed = await claim_one(mail)
    assert claimed.webhook == subscription
    assert json.loads(claimed.delivery.body)["data"]["id"] == message_id
    assert await reply(mail, claimed, 201) is WebhookState.DELIVERED
    await mail.deliver(sent(alice, "one@a.example", "two@a.example"))
    outcomes = {"one@a.example": EventName.RELAYED, "two@a.example": EventName.BOUNCED}
    for recipient in await mail.queue.claim("relay", 10, 10, {}):
        event = Event(outcomes[recipient.address], account_id=alice, recipient=recipient.address)
        await mail.queue.settle([AttemptResult(recipient.lease, QueueState.DELIVERED)], events=[event])
    claimed = await claim_one(mail)
    assert (claimed.delivery.event, json.loads(claimed.delivery.body)["data"]["recipient"]) == (
        WebhookEvent.BOUNCED,
        "two@a.example",
    )


async def test_the_same_endpoint_gets_new_keys(mail: Store, alice: AccountId, bob: AccountId) -> None:
    first = await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    again = await mail.push_subscriptions.subscribe(alice, URL, NEW_KEYS)
    other = await mail.push_subscriptions.subscribe(bob, URL, KEYS)
    assert (again.id, again.keys) == (first.id, NEW_KEYS)
    assert await mail.push_subscriptions.of_account(alice) == [again]
    assert await mail.push_subscriptions.of_account(bob) == [other]


async def test_concurrent_requests_of_a_browser_make_one_subscription(mail: Store, alice: AccountId) -> None:
    made = await asyncio.gather(*(mail.push_subscriptions.subscribe(alice, URL, KEYS) for _ in range(5)))
    assert len({each.id for each in made}) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_removed(mail: Store, alice: AccountId, status: int) -> None:
    await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await deliver(mail, alice)
    await deliver(mail, alice)
    await reply(mail, await claim_one(mail), status)
    assert await mail.push_subscriptions.of_account(alice) == []
    assert await mail.webhooks.claim(10) == []
    assert await mail.webhooks.next_due() is None


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_what_a_push_service_refuses_is_not_repeated(mail: Store, alice: AccountId, status: int) -> None:
    await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await deliver(mail, alice)
    following = await deliver(mail, alice)
    assert await reply(mail, await claim_one(mail), status) is WebhookState.FAILED
    assert json.loads((await claim_one(mail)).delivery.body)["data"]["id"] == following


@pytest.mark.parametrize("status", [429, 500, 503, None])
async def test_temporary_failures_are_repeated_for_days(
    mail: Store, alice: AccountId, clock: Clock, status: int | None
) -> None:
    await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await deliver(mail, alice)
    for pause in (*RETRY_SECONDS, 0.0):
        assert len(await mail.push_subscriptions.of_account(alice)) == 1
        await reply(mail, await claim_one(mail), status)
        clock.now += pause
    assert await mail.push_subscriptions.of_account(alice) == []


async def test_subscriptions_and_webhooks_are_apart(mail: Store, alice: AccountId) -> None:
    subscription = await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    webhook = await mail.webhooks.create(alice, ALL, "whsec_a")
    assert await mail.webhooks.of_account(alice) == [webhook]
    assert await mail.push_subscriptions.of_account(alice) == [subscription]
    for call in (
        mail.webhooks.get(alice, subscription.id),
        mail.webhooks.update(alice, subscription.id, NewWebhook(URL, frozenset())),
        mail.webhooks.remove(alice, subscription.id),
        mail.webhooks.test(alice, subscription.id),
        mail.webhooks.deliveries(alice, subscription.id, 10),
        mail.push_subscriptions.remove(alice, webhook.id),
        mail.push_subscriptions.remove(alice, WebhookId(2**40)),
    ):
        with pytest.raises(WebhookNotFound):
            await call


async def test_a_subscription_is_removed_by_its_owner_only(mail: Store, alice: AccountId, bob: AccountId) -> None:
    subscription = await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await deliver(mail, alice)
    with pytest.raises(WebhookNotFound):
        await mail.push_subscriptions.remove(bob, subscription.id)
    await mail.push_subscriptions.remove(alice, subscription.id)
    assert await mail.webhooks.claim(10) == []
    await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await mail.forget_subscribers(alice)
    assert await mail.push_subscriptions.of_account(alice) == []


async def test_an_account_has_a_limited_number_of_subscriptions(mail: Store, alice: AccountId) -> None:
    for number in range(MAX_PUSH_SUBSCRIPTIONS_ITEMS):
        await mail.push_subscriptions.subscribe(alice, f"{URL}{number}", KEYS)
    with pytest.raises(TooManyWebhooks):
        await mail.push_subscriptions.subscribe(alice, URL, KEYS)
    await mail.push_subscriptions.subscribe(alice, f"{URL}0", NEW_KEYS)


async def test_all_processes_have_the_key_that_was_first(mails: tuple[Store, Store]) -> None:
    one, other = mails
    keys = await asyncio.gather(
        *(store.push_subscriptions.server_key(f"key {n}") for n, store in enumerate((one, other) * 3))
    )
    assert len(set(keys)) == 1
    assert await other.push_subscriptions.server_key("later") == keys[0]
