"""SEARCH, SORT and THREAD, and message lists."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace

from relate_mailstore.cursors import encode_cursor, list_position, parse_cursor
from relate_mailstore.folding import fold
from relate_mailstore.listing import MAX_SENDERS
from relate_mailstore.mailbox_names import canonical_name, find_name
from relate_mailstore.memory.mailbox import MemoryMailbox
from relate_mailstore.memory.matching import matches
from relate_mailstore.memory.store.base import StoreBase
from relate_mailstore.summary_text import EMPTY_SUMMARY
from relate_mailstore.types import (
    AccountId,
    Flag,
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


class MemorySearchStore(StoreBase):
    """`SearchStore` in memory."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each of the snapshot's entries."""
        messages = self._account(snapshot.mailbox.account_id).messages
        found = (messages.get(entry.message_id) for entry in snapshot.entries)
        return tuple(EMPTY_SUMMARY if stored is None else stored.summary() for stored in found)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains `text`."""
        messages, folded = self._account(snapshot.mailbox.account_id).messages, fold(text)
        return {
            entry.uid
            for entry in snapshot.entries
            if (stored := messages.get(entry.message_id)) and stored.text().has(folded, part)
        }

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """A message with its index and flags."""
        return self._account(account_id).message(message_id).listed()

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match, newest first. Raises ValueError for an invalid cursor."""
        rows = sorted(self._matching(account_id, query), key=list_position, reverse=not query.oldest_first)
        start = query.offset
        if query.cursor is not None:
            last = parse_cursor(query.cursor)
            start = sum(
                list_position(row) <= last if query.oldest_first else list_position(row) >= last for row in rows
            )
        page = tuple(rows[start : start + query.limit])
        return MessagePage(page, encode_cursor(page[-1]) if page and start + len(page) < len(rows) else None)

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """Count the messages that match, and those without \\Seen."""
        account = self._account(account_id)
        mailboxes: Collection[MemoryMailbox] = account.mailboxes.values()
        if query.mailbox is not None:
            name = find_name(account.mailboxes, canonical_name(query.mailbox))
            mailboxes = [] if name is None else [account.mailboxes[name]]
        entries = itertools.chain.from_iterable(mailbox.entries.values() for mailbox in mailboxes)
        unread = {entry.message_id for entry in entries if not entry.flags & Flag.SEEN}
        whole = sum(mailbox.state.messages for mailbox in mailboxes)
        return MessageCounts(whole if query.is_whole_mailbox else len(self._matching(account_id, query)), len(unread))

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The senders of the messages in a mailbox."""
        sent = self._matching(account_id, MessageQuery(mailbox))
        return sorted({row.message.index.sender.address for row in sent} - {""})[:MAX_SENDERS]

    def _matching(self, account_id: AccountId, query: MessageQuery) -> list[ListedMessage]:
        account = self._account(account_id)
        if query.mailbox is not None:
            name = find_name(account.mailboxes, canonical_name(query.mailbox))
            query = replace(query, mailbox=name or query.mailbox)
        return [stored.listed() for stored in account.messages.values() if matches(stored, query)]
