"""`Webhooks` in memory."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.types import AccountId
from relate_mailstore.wakes import Wakes
from relate_mailstore.webhook_rules import (
    LEASE_SECONDS,
    MAX_PUSH_SUBSCRIPTIONS_ITEMS,
    MAX_WEBHOOKS_ITEMS,
    PUSHED,
    ROTATION_SECONDS,
    Settled,
    deliveries_of,
    make_test,
)
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    DisabledReason,
    NewWebhook,
    PushKeys,
    Webhook,
    WebhookDelivery,
    WebhookId,
    WebhookReply,
    WebhookState,
    WebhookStatistics,
)


@dataclass(slots=True)
class _Stored:
    webhook: Webhook
    deliveries: dict[int, WebhookDelivery] = field(default_factory=dict)
    last_number: int = 0
    due: float | None = None

    def add(self, delivery: WebhookDelivery, now: float) -> None:
        self.last_number += 1
        self.deliveries[self.last_number] = delivery
        self.due = now if self.due is None else self.due

    def pending(self) -> Sequence[WebhookDelivery]:
        return [each for _, each in sorted(self.deliveries.items()) if each.state is WebhookState.PENDING]

    def number_of(self, delivery_id: UUID) -> int:
        for number, delivery in self.deliveries.items():
            if delivery.id == delivery_id:
                return number
        raise WebhookNotFound("there is no such delivery")


class MemoryWebhooks:
    """`Webhooks` without persistence. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ids = map(WebhookId, itertools.count(1))
        self._new_ids = generate_message_ids()
        self._webhooks: dict[WebhookId, _Stored] = {}
        self._wakes = Wakes()

    def add(self, events: Sequence[Event]) -> None:
        """Add what webhooks are told of the stored events of one commit."""
        enabled = [each.webhook for each in self._webhooks.values() if each.webhook.settings.enabled]
        for webhook, delivery in deliveries_of(enabled, events, self._new_ids):
            self._add(self._webhooks[webhook.id], delivery)

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook."""
        if len(await self.of_account(account_id)) >= MAX_WEBHOOKS_ITEMS:
            raise TooManyWebhooks(f"{MAX_WEBHOOKS_ITEMS} webhooks")
        webhook = Webhook(next(self._ids), account_id, settings, self._clock(), secret)
        self._webhooks[webhook.id] = _Stored(webhook)
        return webhook

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account."""
        return [each for each in self._of_account(account_id) if not each.is_push]

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """See `Webhooks.get`."""
        return self._stored(account_id, webhook_id).webhook

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook."""
        stored = self._stored(account_id, webhook_id)
        stored.webhook = replace(stored.webhook, settings=settings, disabled=DisabledReason.NONE)
        stored.due = self._clock() if settings.enabled else None
        self._wakes.wake()
        return stored.webhook

    async def rotate(self, account_id: AccountId, webhook_id: WebhookId, secret: str) -> Webhook:
        """Give a webhook another secret."""
        stored = self._stored(account_id, webhook_id)
        stored.webhook = replace(
            stored.webhook,
            secret=secret,
            previous_secret=stored.webhook.secret,
            previous_until=self._clock() + ROTATION_SECONDS,
        )
        return stored.webhook

    async def remove(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Remove a webhook."""
        del self._webhooks[self._stored(account_id, webhook_id).webhook.id]

    async def forget(self, account_id: AccountId) -> None:
        """Remove all webhooks of an account."""
        for webhook in self._of_account(account_id):
            del self._webhooks[webhook.id]

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a test."""
        delivery = make_test(next(self._new_ids), self._clock())
        self._add(self._stored(account_id, webhook_id), delivery)
        return delivery

    async def deliveries(
        self, account_id: AccountId, webhook_id: WebhookId, limit: int, before: int | None = None
    ) -> Sequence[tuple[int, WebhookDelivery]]:
        """A page of deliveries."""
        found = sorted(self._stored(account_id, webhook_id).deliveries.items(), key=lambda each: -each[0])
        return [each for each in found if before is None or each[0] < before][:limit]

    async def replay(self, account_id: AccountId, webhook_id: WebhookId, delivery_id: UUID) -> WebhookDelivery:
        """See `Webhooks.replay`."""
        stored = self._stored(account_id, webhook_id)
        delivery = stored.deliveries.pop(stored.number_of(delivery_id))
        replayed = replace(delivery, state=WebhookState.PENDING, attempts=0)
        self._add(stored, replayed)
        return replayed

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due."""
        now, claimed = self._clock(), list[ClaimedWebhook]()
        due = [each for each in self._webhooks.values() if each.webhook.settings.enabled and each.due is not None]
        for stored in sorted(due, key=lambda each: each.due or 0.0)[:limit]:
            pending = stored.pending()
            if stored.due is not None and stored.due <= now:
                stored.due = now + LEASE_SECONDS if pending else None
                claimed += [ClaimedWebhook(stored.webhook, each, now + LEASE_SECONDS) for each in pending[:1]]
        return claimed

    async def settle(self, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled) -> bool:
        """Store the result of an attempt."""
        webhook, delivery, lease = claimed
        stored, now = self._webhooks.get(webhook.id), self._clock()
        if stored is None or stored.due != lease:
            return False
        stored.deliveries[stored.number_of(delivery.id)] = replace(
            delivery,
            state=settled.delivery,
            attempts=delivery.attempts + 1,
            attempted=now,
            status=reply.status,
            error=reply.error,
        )
        stored.due = now + settled.pause
        if settled.disabled and webhook.is_push:
            del self._webhooks[webhook.id]
        elif settled.disabled:
            settings = replace(stored.webhook.settings, enabled=False)
            stored.webhook = replace(stored.webhook, settings=settings, disabled=settled.disabled)
            stored.due = None
        return True

    def push_subscriptions(self, account_id: AccountId) -> Sequence[Webhook]:
        """The push subscriptions of an account."""
        return [each for each in self._of_account(account_id) if each.is_push]

    def subscribe(self, account_id: AccountId, endpoint: str, keys: PushKeys) -> Webhook:
        """See `PushSubscriptions.subscribe`."""
        subscriptions = self.push_subscriptions(account_id)
        for webhook in subscriptions:
            if webhook.settings.url == endpoint:
                stored = self._webhooks[webhook.id]
                stored.webhook = replace(webhook, keys=keys)
                return stored.webhook
        if len(subscriptions) >= MAX_PUSH_SUBSCRIPTIONS_ITEMS:
            raise TooManyWebhooks(f"{MAX_PUSH_SUBSCRIPTIONS_ITEMS} push subscriptions")
        webhook = Webhook(next(self._ids), account_id, NewWebhook(endpoint, PUSHED), self._clock(), "", keys=keys)
        self._webhooks[webhook.id] = _Stored(webhook)
        return webhook

    def unsubscribe(self, account_id: AccountId, subscription_id: WebhookId) -> None:
        """See `PushSubscriptions.remove`."""
        del self._webhooks[self._stored(account_id, subscription_id, is_push=True).webhook.id]

    async def next_due(self) -> float | None:
        """When the first webhook is due."""
        enabled = (each for each in self._webhooks.values() if each.webhook.settings.enabled)
        return min((each.due for each in enabled if each.due is not None), default=None)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        """Iterate over the changes of what is due."""
        with self._wakes.subscribe() as wake:
            yield wake.changes()

    async def statistics(self) -> tuple[WebhookStatistics, WebhookStatistics]:
        """See `Webhooks.statistics`."""
        return self._statistics(is_push=False), self._statistics(is_push=True)

    def _statistics(self, *, is_push: bool) -> WebhookStatistics:
        counted = [each for each in self._webhooks.values() if each.webhook.is_push is is_push]
        enabled = [each for each in counted if each.webhook.settings.enabled]
        waiting = [each for each in enabled if each.due is not None]
        return WebhookStatistics(
            len(enabled),
            sum(each.webhook.disabled is not DisabledReason.NONE for each in counted),
            min((each.created for stored in waiting for each in stored.pending()), default=None),
            min((each.due for each in waiting if each.due is not None), default=None),
        )

    def _add(self, stored: _Stored, delivery: WebhookDelivery) -> None:
        stored.add(delivery, self._clock())
        self._wakes.wake()

    def _of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        return [each.webhook for each in self._webhooks.values() if each.webhook.account_id == account_id]

    def _stored(self, account_id: AccountId, webhook_id: WebhookId, *, is_push: bool = False) -> _Stored:
        stored = self._webhooks.get(webhook_id)
        if stored is None or stored.webhook.account_id != account_id or stored.webhook.is_push is not is_push:
            raise WebhookNotFound("there is no such webhook")
        return stored
