"""The listeners for mailbox notices in this process, by account. A store passes them the notices of all processes.

Notices of one mailbox coalesce while their listener is busy: it buffers at most one per mailbox, and always the last.
"""

from asyncio import Event
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Set
from contextlib import asynccontextmanager

from relate_mailstore.types import AccountId, MailboxId, MailboxNotice


class ChangeListener:
    """An iterator over the pending notices of one listener: the newest of each mailbox."""

    def __init__(self) -> None:
        self._pending: dict[MailboxId, MailboxNotice] = {}
        self._arrived = Event()

    def notify(self, notice: MailboxNotice) -> None:
        """Add a notice. Notices may arrive out of order: one with a lower modseq than the pending one is dropped."""
        pending = self._pending.get(notice.mailbox_id)
        if pending is None or pending.modseq <= notice.modseq:
            self._pending[notice.mailbox_id] = notice
        self._arrived.set()

    def __aiter__(self) -> "ChangeListener":
        return self

    async def __anext__(self) -> MailboxNotice:
        await self._arrived.wait()
        notice = self._pending.pop(next(iter(self._pending)))
        if not self._pending:
            self._arrived.clear()
        return notice


class ChangeListeners:
    """The listeners of all accounts."""

    def __init__(self) -> None:
        self._listeners: defaultdict[AccountId, set[ChangeListener]] = defaultdict(set)
        self._present = Event()

    @property
    def accounts(self) -> Set[AccountId]:
        """The accounts that have listeners."""
        return self._listeners.keys()

    @asynccontextmanager
    async def listen(self, account_id: AccountId) -> AsyncIterator[AsyncIterator[MailboxNotice]]:
        """Iterate over the notices of an account from now on."""
        listener = ChangeListener()
        self._listeners[account_id].add(listener)
        self._present.set()
        try:
            yield listener
        finally:
            listeners = self._listeners[account_id]
            listeners.remove(listener)
            if not listeners:
                del self._listeners[account_id]
            if not self._listeners:
                self._present.clear()

    def count(self, account_id: AccountId) -> int:
        """The number of listeners of an account."""
        return len(self._listeners.get(account_id, ()))

    async def present(self) -> None:
        """Wait until any account has a listener."""
        await self._present.wait()

    def notify(self, notices: Iterable[MailboxNotice]) -> None:
        """Pass each notice to the listeners of its account."""
        for notice in notices:
            for listener in self._listeners.get(notice.account_id, ()):
                listener.notify(notice)
