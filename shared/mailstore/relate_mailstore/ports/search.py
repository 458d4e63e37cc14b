"""SEARCH, SORT and THREAD, and message lists."""

from collections.abc import Collection, Sequence
from typing import Protocol

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


class SearchStore(Protocol):
    """SEARCH, SORT, THREAD, and the message lists of the REST API."""

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary of each entry, in the order of the snapshot; an empty one for an expunged message.

        Cached and updated by the process: a repeated call costs next to nothing.
        """

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains this substring, case-insensitively.

        Exact: an index only preselects the candidates. Words that a line break separates match with a space.
        """

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """A message with its index and flags. Raises MessageNotFound."""

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match, newest first. Raises ValueError for an invalid cursor."""

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """How many messages match, on all pages. Counters and an index answer for a whole mailbox."""

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The distinct addresses of the senders of the messages in a mailbox, sorted, at most MAX_SENDERS."""
