"""Webhooks, push subscriptions, and their deliveries."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import Settled
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    NewWebhook,
    PushKeys,
    Webhook,
    WebhookDelivery,
    WebhookId,
    WebhookReply,
    WebhookStatistics,
)


class Webhooks(Protocol):
    """The webhooks of all accounts, and the deliveries that wait for them. Every method may raise StoreUnavailable.

    Deliveries are stored in the transactions of the events that they tell of. Each webhook gets its deliveries in that
    order, at least once: if a process ends after an attempt and before `settle`, it is attempted again.
    """

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook. Raises TooManyWebhooks."""

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account, the oldest first."""

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """A webhook. Raises WebhookNotFound."""

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook; one that is enabled attempts what waits at once. Raises WebhookNotFound."""

    async def rotate(self, account_id: AccountId, webhook_id: WebhookId, secret: str) -> Webhook:
        """Give it another secret; the former one signs too for ROTATION_SECONDS. Raises WebhookNotFound."""

    async def remove(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Remove a webhook with its deliveries. Raises WebhookNotFound."""

    async def forget(self, account_id: AccountId) -> None:
        """Remove all webhooks of an account. Idempotent."""

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a delivery that tells of nothing. Raises WebhookNotFound."""

    async def deliveries(
        self, account_id: AccountId, webhook_id: WebhookId, limit: int, before: int | None = None
    ) -> Sequence[tuple[int, WebhookDelivery]]:
        """Deliveries with their numbers, the newest first, with numbers below `before`. Raises WebhookNotFound."""

    async def replay(self, account_id: AccountId, webhook_id: WebhookId, delivery_id: UUID) -> WebhookDelivery:
        """Deliver again, after what waits, with the same id. Raises WebhookNotFound, also for the delivery."""

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due, for LEASE_SECONDS, each with its first pending delivery."""

    async def settle(self, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled) -> bool:
        """Store the result of an attempt; False, and nothing is stored, if the lease has ended.

        A push subscription that is disabled is removed with its deliveries.
        """

    async def next_due(self) -> float | None:
        """When the first attempt is due, or the first lease ends, in seconds since the epoch; None if none waits."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over changes of what is due, by every process. They coalesce; the last one is never lost."""

    async def statistics(self) -> tuple[WebhookStatistics, WebhookStatistics]:
        """The numbers of all webhooks, and of all push subscriptions, for metrics."""


class PushSubscriptions(Protocol):
    """The push subscriptions of all accounts: webhooks with keys, whose attempts are those of `Webhooks`.

    Every method may raise StoreUnavailable.
    """

    async def subscribe(self, account_id: AccountId, endpoint: str, keys: PushKeys) -> Webhook:
        """Create a subscription; one of this account at the same endpoint gets the keys. Raises TooManyWebhooks."""

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The subscriptions of an account, the oldest first."""

    async def remove(self, account_id: AccountId, subscription_id: WebhookId) -> None:
        """Remove a subscription with its deliveries. Raises WebhookNotFound."""

    async def server_key(self, new: str) -> str:
        """The stored key by which push services know this server; `new` is stored if there is none.

        All processes get the same, whichever is the first.
        """
