"""The parts of a store, wired together, and the order in which they start, see commits, and close."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.event_rules import EventRules
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed, Removal
from relate_mailstore.sql.events.log import SqlEventLog
from relate_mailstore.sql.events.outcomes import SqlOutcomes
from relate_mailstore.sql.events.push_subscriptions import SqlPushSubscriptions
from relate_mailstore.sql.events.webhooks import SqlWebhooks
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.filters.store import SqlFilters
from relate_mailstore.sql.labels.store import SqlLabels
from relate_mailstore.sql.queue.store import SqlQueueStore
from relate_mailstore.sql.requests import Requests
from relate_mailstore.sql.store.backend import Backend, make_backend
from relate_mailstore.sql.store.reading import Reading
from relate_mailstore.sql.suppressions import SqlSuppressions
from relate_mailstore.sql.upkeep import tombstones
from relate_mailstore.sql.upkeep.background import Upkeep
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.deliveries import Deliveries, Index
from relate_mailstore.sql.write.flag_writer import FlagWriter
from relate_supervisor import Supervisor


class Parts:
    """The parts of a store; the stores that `acting` returns share them. `index` parses a message at delivery."""

    def __init__(
        self,
        engine: AsyncEngine,
        index: Index,
        supervisor: Supervisor,
        cache_octets: int,
        *,
        clock: Callable[[], float],
        event_rules: EventRules,
    ) -> None:
        self.supervisor = supervisor
        self.caches = Caches(cache_octets)
        self.backend = backend = make_backend(engine, self._evict, supervisor, self.caches)
        database, reserve = backend.database, backend.reserve
        self.committer = Committer(database, backend.notices, reserve, supervisor)
        transact = self.committer.run_without_notice
        self.reading = Reading(backend, self.committer, supervisor, self.caches)
        # Writing.
        self.writer = EventWriter(event_rules, clock)
        self.deliveries = Deliveries(
            database, self.committer, reserve, index, supervisor, writer=self.writer, clock=clock
        )
        self.flags = FlagWriter(self.committer, self.reading.snapshots.cached, backend.side is not None, supervisor)
        # Beside mail.
        self.events = SqlEventLog(database, transact, self.writer, supervisor, clock)
        self.outcomes = SqlOutcomes(database, transact, clock)
        self.webhooks = SqlWebhooks(database, transact, backend.webhook_changes, clock)
        self.push_subscriptions = SqlPushSubscriptions(database, transact, clock)
        self.suppressions = SqlSuppressions(database, transact, clock)
        self.requests = Requests(database, transact, clock)
        self.labels = SqlLabels(database, transact, partial(self.flags.set_flags, unchanged_since=None, by=None))
        self.filters = SqlFilters(database, transact, self.reading.find, self.reading.texts.body)
        self.queue = SqlQueueStore(
            database,
            self.committer,
            self.deliveries,
            backend.queue_changes,
            reserve,
            writer=self.writer,
            clock=clock,
            supervisor=supervisor,
        )
        self.upkeep = self._make_upkeep(backend)
        self._observe_commits(backend)

    async def start(self) -> None:
        """Start the writer tasks, the reception of notices and the maintenance. Raises StoreUnavailable."""
        await self.backend.start()
        self.events.start()
        self.deliveries.start()
        self.flags.start()
        self.queue.start()
        self.upkeep.start()

    async def close(self) -> None:
        """Store what is queued, then close the connections. Idempotent."""
        await self.queue.close()
        await self.suppressions.close()
        await self.deliveries.close()
        await self.flags.close()
        await self.events.close()
        await self.upkeep.close()
        await self.reading.close()
        await self.committer.close()
        await self.backend.close()

    async def trim_tombstones(self) -> int:
        """Remove tombstones that are too old or too many; how many."""
        return await tombstones.trim(self.backend.database, self.committer.run_without_notice)

    async def make_texts(self, messages: int) -> int:
        """Make search texts in advance, but not with the last space of a disk, which mail and its removal need."""
        return 0 if self.backend.is_disk_nearly_full else await self.reading.texts.make_some(messages)

    def _make_upkeep(self, backend: Backend) -> Upkeep:
        daily = {
            "mailstore.upkeep.tombstones": self.trim_tombstones,
            "mailstore.upkeep.events": self.events.maintain,
            "mailstore.upkeep.outcomes": self.outcomes.trim,
            "mailstore.upkeep.webhooks": self.webhooks.trim,
            "mailstore.upkeep.suppressions": self.suppressions.trim,
            "mailstore.upkeep.requests": self.requests.trim,
        }
        freshness = backend.notices.freshness
        return Upkeep(self.make_texts, daily, lambda: freshness.notice_count, self.supervisor)

    def _observe_commits(self, backend: Backend) -> None:
        """Register what follows each commit, in this order; `Committer` itself calls the notices first."""
        for observer in (
            self.upkeep.on_commit,
            self.reading.snapshots.on_commit,
            self.reading.usage.on_commit,
            self.reading.generations.on_commit,
            self.reading.evict_removed,
            self._wake_due,
            self.events.on_commit,
        ):
            self.committer.on_commit(observer)
        if backend.side:
            backend.side.on_connect(self.reading.snapshots.clear)

    def _wake_due(self, committed: Committed[Any]) -> None:
        if committed.queue_changed:
            self.backend.queue_changes.wake()
        if committed.announced.has_deliveries:
            self.backend.webhook_changes.wake()

    def _evict(self, removal: Removal) -> None:
        self.reading.evict(removal)
