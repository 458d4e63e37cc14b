"""`SqlMailStore`, and `open_store`, which starts its background tasks and stops them in order."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_config.cache_budget import CACHE_OCTETS
from relate_mailstore.change_events import Actor
from relate_mailstore.event_rules import EventRules
from relate_mailstore.sql.notices.maildrop_lock import hold_maildrop
from relate_mailstore.sql.store.live import SqlLiveStore
from relate_mailstore.sql.store.mailboxes import SqlMailboxStore
from relate_mailstore.sql.store.messages import SqlMessageStore
from relate_mailstore.sql.store.parts import Parts
from relate_mailstore.sql.store.raw import SqlRawStore
from relate_mailstore.sql.store.search import SqlSearchStore
from relate_mailstore.sql.write import expunge
from relate_mailstore.sql.write.deliveries import Index
from relate_mailstore.types import AccountId, MailboxNotice
from relate_mime import index_message
from relate_supervisor import Supervisor

_PING = text("SELECT 1")


@asynccontextmanager
async def open_store(
    engine: AsyncEngine,
    index: Index = index_message,
    supervisor: Supervisor | None = None,
    cache_octets: int = CACHE_OCTETS,
    *,
    clock: Callable[[], float] = time.time,
    event_rules: EventRules | None = None,
) -> AsyncIterator["SqlMailStore"]:
    """Open a store on a migrated database; the engine remains the caller's to dispose of. Raises StoreUnavailable.

    `cache_octets` is the budget of all caches of the process (`relate_config.cache_budget`). `clock` returns the time
    of deliveries, and of what is due in the queue, in seconds since the epoch.
    `event_rules` are the settings of the event log.
    """
    event_rules = event_rules or EventRules()
    parts = Parts(engine, index, supervisor or Supervisor(), cache_octets, clock=clock, event_rules=event_rules)
    store = SqlMailStore(parts)
    try:
        await parts.start()
        yield store
    finally:
        await store.close()


class SqlMailStore(SqlRawStore, SqlSearchStore, SqlLiveStore, SqlMailboxStore, SqlMessageStore):
    """`MailStore` on an engine; `queue`, `events` and so on are the other ports, on the same database.

    Each base class implements the methods of one port, and calls none of another base class.
    """

    def __init__(self, parts: Parts, actor: Actor | None = None) -> None:
        super().__init__(parts, actor)
        self.caches = parts.caches
        self.queue = parts.queue
        self.events = parts.events
        self.suppressions = parts.suppressions
        self.labels = parts.labels
        self.filters = parts.filters
        self.webhooks = parts.webhooks
        self.push_subscriptions = parts.push_subscriptions

    def acting(self, actor: Actor) -> Self:
        """The same store, whose changes the event log tells of as those of a service."""
        return type(self)(self._parts, actor)

    async def close(self) -> None:
        """Store what is queued, then close the connections. Idempotent."""
        await self._parts.close()

    async def ping(self) -> None:
        """Execute one small query, which is not traced: readiness checks would outnumber other spans."""
        with self._parts.supervisor.tracing.poll():
            await self._database.fetch(_PING, {})

    async def usage(self, account_id: AccountId) -> int:
        """Octets that the account's mailboxes hold."""
        return await self._reading.usage.query(account_id)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit, by a cached usage that is a few seconds old at most."""
        await self._reading.usage.check(account_id, octets, quota)

    def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop lock."""
        return hold_maildrop(self._parts.backend.locks, account_id, wait_seconds)

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the notices of an account."""
        return self._parts.backend.notices.listen(account_id)

    # Maintenance, beyond `MailStore`.

    async def collect_garbage(self) -> int:
        """Remove rows that concurrent deletions left unreferenced; how many. For the administrator or a nightly job."""
        return await self._committer.run_without_notice(expunge.collect_garbage, removes=True)

    async def trim_tombstones(self) -> int:
        """Remove tombstones that are too old or too many; how many. Each process does so once a day."""
        return await self._parts.trim_tombstones()
