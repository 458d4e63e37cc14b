"""The request that hands a push message to a push service (RFC 8030 §5)."""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable

from relate_api.push.encryption import encrypt
from relate_api.push.vapid import VapidKey
from relate_api.webhooks.sender import Post
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_types import Webhook, WebhookDelivery

TTL_SECONDS = 24 * 3600
"""How long a push service keeps a message for a browser that is not connected: what is older is no news."""

Write = Callable[[AccountId, WebhookDelivery], Awaitable[bytes | None]]
"""Writes the text of a delivery; None if there is nothing to send."""


class PushRequests:
    """Makes the requests of a server with this key. `clock` returns seconds since the epoch."""

    def __init__(self, key: VapidKey, write: Write, clock: Callable[[], float]) -> None:
        self._key = key
        self._write = write
        self._clock = clock

    async def __call__(self, subscription: Webhook, delivery: WebhookDelivery) -> Post | None:
        """The request of a delivery; None if there is nothing to send.

        Raises StoreUnavailable, AccountsUnavailable.
        """
        if subscription.keys is None:
            raise ValueError("a webhook has no keys")
        text, now = await self._write(subscription.account_id, delivery), self._clock()
        if text is None:
            return None
        fields = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "Authorization": self._key.authorization(subscription.settings.url, now),
            "TTL": str(max(0, int(delivery.created + TTL_SECONDS - now))),
            "Urgency": "normal",
            # A repeated attempt replaces the message that a push service has already (§5.4).
            "Topic": urlsafe_b64encode(delivery.id.bytes).decode().rstrip("="),
        }
        return fields, encrypt(text, subscription.keys)
