"""Raw messages, and what is computed from them at delivery."""

from collections.abc import Sequence

from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.memory.store.base import StoreBase
from relate_mailstore.types import AccountId, MessageId, Rendering
from relate_mime import MessageIndex


class MemoryRawStore(StoreBase):
    """`RawStore` in memory."""

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        """Open a raw message. Ignores `ahead`: all messages are in memory."""
        return self._account(account_id).message(message_id).open()

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[MemoryRawMessage | None]:
        """Open several raw messages. Ignores `ahead`."""
        return [None if stored is None else stored.open() for stored in self._messages(account_id, message_ids)]

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw headers of these messages."""
        return [None if stored is None else stored.header() for stored in self._messages(account_id, message_ids)]

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """The FETCH data items of these messages that need no raw message."""
        return [None if stored is None else stored.rendering() for stored in self._messages(account_id, message_ids)]

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The indexes of these messages."""
        return [None if stored is None else stored.message.index for stored in self._messages(account_id, message_ids)]
