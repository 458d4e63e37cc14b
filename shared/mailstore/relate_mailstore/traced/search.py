"""`SearchStore`, traced."""

from collections.abc import Collection, Sequence

from relate_mailstore.traced.operations import TracedBase
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


class TracedSearchStore(TracedBase):
    """`SearchStore` that delegates to a store, with a span for each call."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """Traced as `mailstore.summaries`."""
        with self._span("summaries", snapshot.mailbox.account_id, messages=len(snapshot.entries)):
            return await self._store.summaries(snapshot)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """Traced as `mailstore.containing`, without the text, because that is mail."""
        with self._span("containing", snapshot.mailbox.account_id, messages=len(snapshot.entries)) as operation:
            uids = await self._store.containing(snapshot, text, part)
            operation.set("mailstore.entries", len(uids))
            return uids

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """Traced as `mailstore.message`; the command is linked to the delivery of the message."""
        with self._span("message", account_id) as operation:
            listed = await self._store.message(account_id, message_id)
            operation.set("mailstore.octets", listed.message.index.size)
        self._operations.link_reader(listed.message.origin)
        return listed

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """Traced as `mailstore.find`, without links, because a list reads no message."""
        with self._span("find", account_id, limit=query.limit) as operation:
            page = await self._store.find(account_id, query)
            operation.set("mailstore.messages", len(page.items))
            return page

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """Traced as `mailstore.counts`."""
        with self._span("counts", account_id) as operation:
            counts = await self._store.counts(account_id, query)
            operation.set("mailstore.messages", counts.total)
            return counts

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """Traced as `mailstore.senders`."""
        with self._span("senders", account_id) as operation:
            senders = await self._store.senders(account_id, mailbox)
            operation.set("mailstore.names", len(senders))
            return senders
