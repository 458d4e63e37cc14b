"""What a browser is told: the JSON of the webhook's event, in short, with author and subject if its user wants them."""

import json
from typing import Any
from uuid import UUID

from relate_accounts.ports import AccountStore
from relate_accounts.types import UserId
from relate_api.preferences.schemas import Preferences
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, MessageId
from relate_mailstore.webhook_types import WebhookDelivery, WebhookEvent

MAX_TEXT_CHARACTERS = 120
"""Of each text: five of them fit into a message, whatever characters they have (six octets each at most)."""

_TOLD = ("id", "recipient", "mailbox", "reason")  # of the event's data

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class PushTexts:
    """Writes the texts of push messages. They are read from the mail when they are sent, and stored nowhere."""

    def __init__(self, store: MailStore, accounts: AccountStore) -> None:
        self._store = store
        self._accounts = accounts

    async def __call__(self, account_id: AccountId, delivery: WebhookDelivery) -> bytes:
        """The text of a delivery. Raises StoreUnavailable, AccountsUnavailable."""
        event: dict[str, Any] = json.loads(delivery.body)
        data = {name: event["data"][name] for name in _TOLD if event["data"].get(name) is not None}
        if delivery.event is WebhookEvent.NEW and "id" in data and await self._shows_preview(account_id):
            data |= await self._headers(account_id, MessageId(UUID(data["id"])))
        short = {name: str(value)[:MAX_TEXT_CHARACTERS] for name, value in data.items()}
        return _encode({"type": event["type"], "timestamp": event["timestamp"], "data": short}).encode(errors="replace")

    async def _shows_preview(self, account_id: AccountId) -> bool:
        chosen = await self._accounts.profiles.preferences(UserId(account_id))
        return Preferences.model_validate(chosen).show_preview

    async def _headers(self, account_id: AccountId, message_id: MessageId) -> dict[str, str]:
        """Author and subject; none of a message that was removed meanwhile."""
        try:
            index = (await self._store.message(account_id, message_id)).message.index
        except MessageNotFound:
            return {}
        return {"from": index.sender.name or index.sender.address, "subject": index.subject}
