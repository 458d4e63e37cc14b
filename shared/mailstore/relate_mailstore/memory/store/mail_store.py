"""`MemoryMailStore`."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy as shallow_copy
from typing import Self

from relate_mailstore.change_events import Actor
from relate_mailstore.errors import MaildropInUse
from relate_mailstore.event_rules import EventRules
from relate_mailstore.memory.deliveries import Index
from relate_mailstore.memory.store.live import MemoryLiveStore
from relate_mailstore.memory.store.mailboxes import MemoryMailboxStore
from relate_mailstore.memory.store.messages import MemoryMessageStore
from relate_mailstore.memory.store.parts import Parts
from relate_mailstore.memory.store.raw import MemoryRawStore
from relate_mailstore.memory.store.search import MemorySearchStore
from relate_mailstore.polling import poll
from relate_mailstore.quota import check_quota
from relate_mailstore.types import AccountId, MailboxNotice
from relate_mime import index_message


class MemoryMailStore(MemoryRawStore, MemorySearchStore, MemoryLiveStore, MemoryMailboxStore, MemoryMessageStore):
    """`MailStore` in memory, without persistence; `queue`, `events` and so on are the other ports.

    Each base class implements the methods of one port, and calls none of another base class. `index` computes the index
    of a message at delivery. `clock` returns the time of the queue, in seconds since the epoch.
    """

    def __init__(
        self,
        index: Index = index_message,
        clock: Callable[[], float] = time.time,
        event_rules: EventRules | None = None,
    ) -> None:
        parts = Parts(index, clock, event_rules or EventRules())
        super().__init__(parts)
        self.queue = parts.queue
        self.events = parts.events
        self.suppressions = parts.suppressions
        self.labels = parts.labels
        self.filters = parts.filters
        self.webhooks = parts.webhooks
        self.push_subscriptions = parts.push_subscriptions

    def acting(self, actor: Actor) -> Self:
        """The same store, whose changes the event log tells of as those of a service."""
        store = shallow_copy(self)
        store._actor = actor
        return store

    async def usage(self, account_id: AccountId) -> int:
        """The octets of all mailboxes of an account."""
        return self._parts.accounts.usage(account_id)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Compare the quota with the octets of all mailboxes."""
        check_quota(self._parts.accounts.usage(account_id), octets, quota)

    @asynccontextmanager
    async def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        """Hold the account's maildrop lock."""
        account = self._account(account_id)
        if not await poll(account.lock_maildrop, wait_seconds):
            raise MaildropInUse(f"maildrop of account {account_id}")
        try:
            yield
        finally:
            account.maildrop_locked = False

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Iterate over the account's notices."""
        return self._parts.listeners.listen(account_id)

    async def ping(self) -> None:
        """Do nothing: memory is always available."""

    async def close(self) -> None:
        """Do nothing: there is nothing to flush."""
