"""SEARCH, SORT and THREAD, and message lists."""

from collections.abc import Collection, Sequence

from relate_mailstore.sql.read import message_list
from relate_mailstore.sql.store.base import StoreBase
from relate_mailstore.types import (
    AccountId,
    ListedMessage,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)


class SqlSearchStore(StoreBase):
    """`SearchStore`."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each entry."""
        return await self._reading.summaries.summaries(snapshot)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains a substring."""
        return await self._reading.search.containing(snapshot, text, part)

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """One message with its index and flags."""
        return await message_list.find_message(self._database, account_id, message_id)

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match."""
        return await self._reading.find(account_id, query)

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """How many messages match, and how many are unread."""
        query = await self._reading.prepare(account_id, query)
        return await message_list.count_messages(self._database, account_id, query)

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The senders of the messages in a mailbox."""
        query = await self._reading.prepare(account_id, MessageQuery(mailbox))
        return await message_list.list_senders(self._database, account_id, query.mailbox or mailbox)
