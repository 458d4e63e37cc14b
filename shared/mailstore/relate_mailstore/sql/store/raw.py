"""Raw messages, and what is computed from them at delivery."""

from collections.abc import Sequence

from relate_mailstore.ports import RawMessage
from relate_mailstore.sql.store.base import StoreBase
from relate_mailstore.types import AccountId, MessageId, Rendering
from relate_mime import MessageIndex


class SqlRawStore(StoreBase):
    """`RawStore`, by the caches of messages."""

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message; no query if it is cached or being fetched."""
        return await self._reading.blobs.open(account_id, message_id, ahead)

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages."""
        return await self._reading.blobs.open_all(account_id, message_ids, ahead)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """Raw headers of messages."""
        return await self._reading.contents.headers(account_id, message_ids)

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """What FETCH returns without opening the messages."""
        return await self._reading.contents.renderings(account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The positions of MIME parts."""
        return await self._reading.contents.indexes(account_id, message_ids)
