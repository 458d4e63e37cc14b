"""`PushSubscriptions` in memory."""

from collections.abc import Sequence

from relate_mailstore.memory.webhooks import MemoryWebhooks
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_types import PushKeys, Webhook, WebhookId


class MemoryPushSubscriptions:
    """`PushSubscriptions` beside the webhooks of the same store."""

    def __init__(self, webhooks: MemoryWebhooks) -> None:
        self._webhooks = webhooks
        self._key = ""

    async def subscribe(self, account_id: AccountId, endpoint: str, keys: PushKeys) -> Webhook:
        """Create a subscription, or give it new keys."""
        return self._webhooks.subscribe(account_id, endpoint, keys)

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The subscriptions of an account."""
        return self._webhooks.push_subscriptions(account_id)

    async def remove(self, account_id: AccountId, subscription_id: WebhookId) -> None:
        """Remove a subscription."""
        self._webhooks.unsubscribe(account_id, subscription_id)

    async def server_key(self, new: str) -> str:
        """See `PushSubscriptions.server_key`."""
        self._key = self._key or new
        return self._key
