"""`Webhooks` in memory."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import (
    LEASE_SECONDS,
    MAX_WEBHOOKS_ITEMS,
    ROTATION_SECONDS,
    Settled,
    deliveries_of,
    make_test,
)
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    DisabledReason,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookId,
    WebhookReply,
    WebhookState,
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

    def add(self, events: Sequence[Event]) -> None:
        """Add what webhooks are told of the stored events of one commit."""
        enabled = [each.webhook for each in self._webhooks.values() if each.webhook.settings.enabled]
        for webhook, delivery in deliveries_of(enabled, events, self._new_ids):
            self._webhooks[webhook.id].add(delivery, self._clock())

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook."""
        if len(await self.of_account(account_id)) >= MAX_WEBHOOKS_ITEMS:
            raise TooManyWebhooks(f"{MAX_WEBHOOKS_ITEMS} webhooks")
        webhook = Webhook(next(self._ids), account_id, settings, self._clock(), secret)
        self._webhooks[webhook.id] = _Stored(webhook)
        return webhook

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account."""
        return [each.webhook for each in self._webhooks.values() if each.webhook.account_id == account_id]

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """See `Webhooks.get`."""
        return self._stored(account_id, webhook_id).webhook

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook."""
        stored = self._stored(account_id, webhook_id)
        stored.webhook = replace(stored.webhook, settings=settings, disabled=DisabledReason.NONE)
        stored.due = self._clock() if settings.enabled else None
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
        for webhook in await self.of_account(account_id):
            del self._webhooks[webhook.id]

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a test."""
        delivery = make_test(next(self._new_ids), self._clock())
        self._stored(account_id, webhook_id).add(delivery, self._clock())
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
        stored.add(replayed, self._clock())
        return replayed

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due."""
        now, claimed = self._clock(), list[ClaimedWebhook]()
        due = [each for each in self._webhooks.values() if each.webhook.settings.enabled and each.due is not None]
        for stored in sorted(due, key=lambda each: each.due or 0.0)[:limit]:
            pending = [each for _, each in sorted(stored.deliveries.items()) if each.state is WebhookState.PENDING]
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
        if settled.disabled:
            settings = replace(stored.webhook.settings, enabled=False)
            stored.webhook = replace(stored.webhook, settings=settings, disabled=settled.disabled)
            stored.due = None
        return True

    def _stored(self, account_id: AccountId, webhook_id: WebhookId) -> _Stored:
        stored = self._webhooks.get(webhook_id)
        if stored is None or stored.webhook.account_id != account_id:
            raise WebhookNotFound("there is no such webhook")
        return stored
