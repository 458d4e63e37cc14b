"""Who wants to know of which account's changes, in this process: however a store comes to know of them.

Changes of one mailbox are merged while their reader is busy: it holds at most one a mailbox, and never misses the last.
"""

from asyncio import Event
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Set
from contextlib import asynccontextmanager

from relate_mailstore.types import AccountId, MailboxId, MailboxNotice


class ChangeListener:
    """The changes that a reader has not taken yet: a mailbox's newest in place of the one before."""

    def __init__(self) -> None:
        self._pending: dict[MailboxId, MailboxNotice] = {}
        self._arrived = Event()

    def tell(self, change: MailboxNotice) -> None:
        """A mailbox changed. Notices may overtake each other on their way: the newest stays."""
        pending = self._pending.get(change.mailbox_id)
        if pending is None or pending.modseq <= change.modseq:
            self._pending[change.mailbox_id] = change
        self._arrived.set()

    def __aiter__(self) -> "ChangeListener":
        return self

    async def __anext__(self) -> MailboxNotice:
        await self._arrived.wait()
        change = self._pending.pop(next(iter(self._pending)))
        if not self._pending:
            self._arrived.clear()
        return change


class ChangeListeners:
    """The readers of all accounts."""

    def __init__(self) -> None:
        self._readers: defaultdict[AccountId, set[ChangeListener]] = defaultdict(set)
        self._present = Event()

    @property
    def accounts(self) -> Set[AccountId]:
        """The accounts that somebody subscribed to."""
        return self._readers.keys()

    @asynccontextmanager
    async def listen(self, account_id: AccountId) -> AsyncIterator[AsyncIterator[MailboxNotice]]:
        """The changes of an account, from now on."""
        subscription = ChangeListener()
        self._readers[account_id].add(subscription)
        self._present.set()
        try:
            yield subscription
        finally:
            readers = self._readers[account_id]
            readers.remove(subscription)
            if not readers:
                del self._readers[account_id]
            if not self._readers:
                self._present.clear()

    def count(self, account_id: AccountId) -> int:
        """How many are subscribed to an account."""
        return len(self._readers.get(account_id, ()))

    async def present(self) -> None:
        """Wait until anybody is subscribed."""
        await self._present.wait()

    def tell(self, changes: Iterable[MailboxNotice]) -> None:
        """Tell whoever subscribed to their accounts."""
        for change in changes:
            for subscription in self._readers.get(change.account_id, ()):
                subscription.tell(change)
