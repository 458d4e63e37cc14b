"""What a browser is told: the JSON of the webhook's event, in short, with author and subject if its user wants them."""

import json
from typing import Any
from uuid import UUID

from relate_accounts.ports import AccountStore
from relate_accounts.types import UserId
from relate_api.preferences.schemas import Preferences
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.mailbox_names import JUNK, TRASH
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Flag, ListedMessage, MessageId
from relate_mailstore.webhook_types import WebhookDelivery, WebhookEvent
from relate_mime import MessageIndex

MAX_TEXT_CHARACTERS = 120
"""Of each text: five of them fit into a message, whatever characters they have (six octets each at most)."""

_KEPT_KEYS = ("id", "recipient", "mailbox", "reason")  # of the event's data

_QUIET = (TRASH, JUNK)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class PushTexts:
    """Writes the texts of push messages. They are read from the mail when they are sent, and stored nowhere."""

    def __init__(self, store: MailStore, accounts: AccountStore) -> None:
        self._store = store
        self._accounts = accounts

    async def __call__(self, account_id: AccountId, delivery: WebhookDelivery) -> bytes | None:
        """The text of a delivery; None if it is of a message that no longer needs attention.

        Raises StoreUnavailable, AccountsUnavailable.
        """
        event: dict[str, Any] = json.loads(delivery.body)
        data = {name: event["data"][name] for name in _KEPT_KEYS if event["data"].get(name) is not None}
        if delivery.event is WebhookEvent.NEW:
            message = await self._find_unread(account_id, MessageId(UUID(data["id"])))
            if message is None:
                return None
            data |= await self._headers(account_id, message.message.index)
        short = {name: str(value)[:MAX_TEXT_CHARACTERS] for name, value in data.items()}
        return _encode({"type": event["type"], "timestamp": event["timestamp"], "data": short}).encode(errors="replace")

    async def _find_unread(self, account_id: AccountId, message_id: MessageId) -> ListedMessage | None:
        """A message that is unread in a mailbox other than trash and junk. Filters may have put or marked it so."""
        try:
            message = await self._store.message(account_id, message_id)
        except MessageNotFound:
            return None
        quiet = {each.name for each in await self._store.mailboxes(account_id) if each.special_use in _QUIET}
        return None if message.flags & Flag.SEEN or quiet.issuperset(message.mailboxes) else message

    async def _headers(self, account_id: AccountId, index: MessageIndex) -> dict[str, str]:
        """Author and subject, if the user wants previews."""
        chosen = await self._accounts.profiles.preferences(UserId(account_id))
        if not Preferences.model_validate(chosen).show_preview:
            return {}
        return {"from": index.sender.name or index.sender.address, "subject": index.subject}
