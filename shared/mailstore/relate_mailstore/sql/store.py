"""`SqlMailStore`: the mail store on SQLite and PostgreSQL. A façade: it wires the parts together and delegates.

Its `queue` is the `QueueStore` of the same database, `events` the `EventLog`, `suppressions` the `Suppressions`,
`labels` the `Labels`, `filters` the `Filters`, `webhooks` the `Webhooks`.

`open_store` is the entry point: it starts the background tasks and stops them in order.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy as shallow_copy
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_config.cache_budget import CACHE_OCTETS
from relate_mailstore.change_events import Actor, ChangedBy
from relate_mailstore.event_rules import EventRules
from relate_mailstore.keywords import spell
from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.mailbox_names import deletable_name
from relate_mailstore.ports import RawMessage
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.sql import mailboxes
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed, Removal
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.disk_reserve import DiskReserve
from relate_mailstore.sql.driver.engine import database_file
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.sql.events.log import SqlEventLog
from relate_mailstore.sql.events.outcomes import SqlOutcomes
from relate_mailstore.sql.events.webhooks import SqlWebhooks
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.filters.store import SqlFilters
from relate_mailstore.sql.labels.store import SqlLabels
from relate_mailstore.sql.notices.maildrop_lock import AdvisoryLocks, LockFile, MaildropLocks, hold_maildrop
from relate_mailstore.sql.notices.ports import Notices
from relate_mailstore.sql.notices.postgres import PostgresNotices
from relate_mailstore.sql.notices.queue_changes import FileQueueChanges, PostgresQueueChanges, QueueChanges
from relate_mailstore.sql.notices.sqlite import FileNotices
from relate_mailstore.sql.queue.store import SqlQueueStore
from relate_mailstore.sql.read import changes, message_list
from relate_mailstore.sql.read.blobs import Blobs
from relate_mailstore.sql.read.criteria import searches_text
from relate_mailstore.sql.read.generations import Generations
from relate_mailstore.sql.read.mailbox_cache import MailboxCache
from relate_mailstore.sql.read.message_info import MessageInfoCache
from relate_mailstore.sql.read.quota import UsageCache
from relate_mailstore.sql.read.search import Search
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.read.summaries import Summaries
from relate_mailstore.sql.requests import Requests
from relate_mailstore.sql.suppressions import SqlSuppressions
from relate_mailstore.sql.upkeep import tombstones
from relate_mailstore.sql.upkeep.background import Upkeep
from relate_mailstore.sql.write import append_copy, expunge, flags, namespace
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.deliveries import Deliveries, Index
from relate_mailstore.sql.write.flag_writer import FlagWriter
from relate_mailstore.sql.write.told import Telling
from relate_mailstore.types import (
    INBOX,
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    Flag,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)
from relate_mime import MessageIndex, index_message
from relate_supervisor import Supervisor

_PING = text("SELECT 1")

T = TypeVar("T")


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
    store = SqlMailStore(
        engine, index, supervisor or Supervisor(), cache_octets, clock=clock, event_rules=event_rules or EventRules()
    )
    try:
        await store.start()
        yield store
    finally:
        await store.close()


class SqlMailStore:
    """`MailStore` on an engine. `index` parses a message at delivery."""

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
        self.caches = caches = Caches(cache_octets)
        self._supervisor = supervisor
        self._database = database = Database(engine)
        self._side = SessionConnection(engine, supervisor) if database.dialect == POSTGRESQL else None
        self._notices: Notices = (
            PostgresNotices(database, self._side, self._evict, supervisor, caches)
            if self._side
            else FileNotices(database, database_file(engine), supervisor, caches)
        )
        self._locks: MaildropLocks = AdvisoryLocks(self._side) if self._side else LockFile.beside(database_file(engine))
        self._reserve = reserve = None if self._side else DiskReserve(database_file(engine))
        self._committer = Committer(database, self._notices, reserve, supervisor)
        # Reading.
        freshness = self._notices.freshness
        self._snapshots = MailboxCache(database, self._notices, caches)
        self._generations = Generations(database, freshness.epoch, self._notices.epoch, caches)
        self._blobs = Blobs(database, self._generations, supervisor, caches)
        self._contents = MessageInfoCache(database, self._generations, self._blobs, caches)
        self._usage = UsageCache(database, caches)
        self._texts = Texts(database, self._blobs, self._committer.run_without_notice)
        self._summaries = Summaries(database, self._texts, caches)
        self._search = Search(database, self._texts, self._committer.run_without_notice, caches)
        # Writing.
        self._writer = writer = EventWriter(event_rules, clock)
        self._actor: Actor | None = None
        self._deliveries = Deliveries(database, self._committer, reserve, index, supervisor, writer=writer, clock=clock)
        self._flags = FlagWriter(self._committer, self._snapshots.cached, self._side is not None, supervisor)
        self.events = SqlEventLog(database, self._committer.run_without_notice, writer, supervisor, clock)
        self._outcomes = SqlOutcomes(database, self._committer.run_without_notice, clock)
        self.webhooks = SqlWebhooks(database, self._committer.run_without_notice, clock)
        self.suppressions = SqlSuppressions(database, self._committer.run_without_notice, clock)
        self._requests = Requests(database, self._committer.run_without_notice, clock)
        self.labels = SqlLabels(database, self._committer.run_without_notice, self.set_flags)
        self.filters = SqlFilters(database, self._committer.run_without_notice, self.find, self._texts.body)
        daily = {
            "mailstore.upkeep.tombstones": self.trim_tombstones,
            "mailstore.upkeep.events": self.events.maintain,
            "mailstore.upkeep.outcomes": self._outcomes.trim,
            "mailstore.upkeep.webhooks": self.webhooks.trim,
            "mailstore.upkeep.suppressions": self.suppressions.trim,
            "mailstore.upkeep.requests": self.trim_requests,
        }
        self._upkeep = Upkeep(self._make_texts, daily, lambda: freshness.notice_count, supervisor)
        # Outgoing mail.
        self._queue_changes: QueueChanges = (
            PostgresQueueChanges(self._side) if self._side else FileQueueChanges(database_file(engine))
        )
        self.queue = SqlQueueStore(
            database,
            self._committer,
            self._deliveries,
            self._queue_changes,
            reserve,
            writer=writer,
            clock=clock,
            supervisor=supervisor,
        )
        # After each commit, in this order; `Committer` itself calls the notices first.
        for observer in (
            self._upkeep.on_commit,
            self._snapshots.on_commit,
            self._usage.on_commit,
            self._generations.on_commit,
            self._evict_removed,
            self._queue_changes.on_commit,
            self.events.on_commit,
        ):
            self._committer.on_commit(observer)
        if self._side:
            self._side.on_connect(self._snapshots.clear)

    def acting(self, actor: Actor) -> Self:
        """The same store, whose changes the event log tells of as those of a service."""
        store = shallow_copy(self)
        store._actor = actor
        return store

    # Life cycle.

    async def start(self) -> None:
        """Start the writer tasks, the reception of notices and the maintenance. Raises StoreUnavailable."""
        if self._side:
            await self._side.start()
        self._notices.start()
        self.events.start()
        self._deliveries.start()
        self._flags.start()
        self.queue.start()
        self._upkeep.start()

    async def close(self) -> None:
        """Store what is queued, then close the connections. Idempotent."""
        await self.queue.close()
        await self.suppressions.close()
        await self._deliveries.close()
        await self._flags.close()
        await self.events.close()
        await self._upkeep.close()
        await self._snapshots.close()
        await self._blobs.close()
        await self._committer.close()
        await self._notices.close()
        self._queue_changes.close()
        if self._side:
            await self._side.close()
        await self._database.close()

    async def ping(self) -> None:
        """Execute one small query, which is not traced: readiness checks would outnumber other spans."""
        with self._supervisor.tracing.poll():
            await self._database.fetch(_PING, {})

    # Mailboxes.

    async def provision(self, account_id: AccountId) -> None:
        """Create INBOX and the special-use mailboxes."""
        await namespace.provision(self._database, self._committer, account_id)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name."""
        return await self._named(account_id, name, partial(self._snapshots.mailbox, account_id))

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account."""
        return await mailboxes.list_mailboxes(self._database, account_id)

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox; an account without any is provisioned first."""
        await self.provision(account_id)
        work = partial(namespace.create_mailbox, account_id=account_id, name=name, special_use=special_use)
        return await self._committer.run_without_notice(work)

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Delete a mailbox and its entries."""

        async def delete(name: str) -> None:
            work = partial(namespace.delete_mailbox, account_id=account_id, name=name)
            await self._committer.run(self._telling()(work), removes=True)

        await self._named(account_id, deletable_name(name), delete)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and all below it, or move the messages of INBOX."""
        work = partial(namespace.rename_mailbox, account_id=account_id, name=name, new_name=new_name)
        await self._committer.run(self._telling()(work))

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The subscribed names."""
        return await namespace.list_subscriptions(self._database, account_id)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add or remove a subscription."""
        work = partial(namespace.subscribe, account_id=account_id, name=name, subscribed=subscribed)
        await self._committer.run_without_notice(work)

    # A selected mailbox.

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries."""
        return await self._named(account_id, name, partial(self._snapshots.snapshot, account_id))

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The same mailbox as it is now; no query unless a notice of it was received."""
        return await self._snapshots.refresh(snapshot)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Take the \\Recent flag; a write only if there are such messages."""
        recent = await namespace.take_recent(self._database, self._committer, account_id, mailbox_id, until)
        self._snapshots.update_recent(mailbox_id, recent.first_after)
        return recent.first

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`; None below the mailbox's horizon."""
        return await tombstones.vanished(self._database, account_id, mailbox_id, modseq)

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each entry."""
        return await self._summaries.summaries(snapshot)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains a substring."""
        return await self._search.containing(snapshot, text, part)

    # What changed.

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """The entries with these UIDs."""
        return await changes.arrived(self._database, account_id, mailbox_id, since, before, limit=limit)

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """The changed and expunged entries of a span."""
        return await changes.changes(self._database, account_id, mailbox_id, span, limit)

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Store an account's outcomes from now on."""
        return await self._outcomes.follow(account_id)

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """The outcomes after a number."""
        return await self._outcomes.page(account_id, after, limit)

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Remove an account's outcomes and webhooks."""
        await self.webhooks.forget(account_id)
        await self._outcomes.forget(account_id)

    # Adding, changing and removing messages.

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message; concurrent deliveries share a transaction."""
        return await self._deliveries.deliver(delivery)

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request with this key."""
        return await self._requests.find(account_id, key_hash)

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Enter a notice once in a period."""
        return await self._deliveries.tell_held(account_id, limit, notice)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Put messages into a mailbox."""
        by = self._changed_by()
        append = partial(self._deliveries.append, account_id, messages=messages, replaces=replaces, quota=quota, by=by)
        return await self._named(account_id, mailbox, append)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages into another mailbox as well."""
        work = partial(append_copy.copy, account_id=account_id, mailbox_id=mailbox_id, uids=uids, quota=quota)

        async def copy(name: str) -> Copied:
            return await self._committer.run(partial(work, target=name))

        return await self._named(account_id, target, copy)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """Enter messages into another mailbox instead."""
        work = partial(append_copy.move, account_id=account_id, mailbox_id=mailbox_id, uids=uids)

        telling = self._telling()

        async def move(name: str) -> Copied:
            # A removal, because most moves are to the trash, and must work on a full disk.
            return await self._committer.run(telling(partial(work, target=name)), removes=True)

        return await self._named(account_id, target, move)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Change flags of entries; concurrent changes share a transaction."""
        by = self._changed_by() if change.add & Flag.SEEN else None  # only the first read is an event
        return await self._flags.set_flags(account_id, mailbox_id, uids, change, unchanged_since, by=by)

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Change flags of a message in every mailbox that contains it."""
        if change.add_keywords:
            names = (await self.message(account_id, message_id)).mailboxes
            for snapshot in [await self.snapshot(account_id, name) for name in names]:
                change = replace(change, add_keywords=spell(change.add_keywords, snapshot.keywords))
        work = partial(flags.flag_message, account_id=account_id, message_id=message_id, change=change)
        await self._committer.run(partial(work, expected=expected, by=self._changed_by()))
        return await self.message(account_id, message_id)

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Change system flags of messages in every mailbox that contains them."""
        work = partial(flags.mark_messages, account_id=account_id, message_ids=message_ids)
        return await self._committer.run(partial(work, change=FlagChange(add, remove), by=self._changed_by()))

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Remove entries permanently."""
        return await expunge.expunge_in_halves(self._committer, self._telling(), account_id, mailbox_id, uids)

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Remove a message from every mailbox of this account."""
        work = partial(expunge.delete_message, account_id=account_id, message_id=message_id, expected=expected)
        await self._committer.run(self._telling()(work), removes=True)

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Remove messages from every mailbox of this account."""
        work = partial(expunge.delete_messages, account_id=account_id, message_ids=message_ids)
        return await self._committer.run(self._telling()(work), removes=True)

    # Reading messages.

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """What FETCH returns without opening the messages."""
        return await self._contents.renderings(account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The positions of MIME parts."""
        return await self._contents.indexes(account_id, message_ids)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """Raw headers of messages."""
        return await self._contents.headers(account_id, message_ids)

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message; no query if it is cached or being fetched."""
        return await self._blobs.open(account_id, message_id, ahead)

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages."""
        return await self._blobs.open_all(account_id, message_ids, ahead)

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """One message with its index and flags."""
        return await message_list.find_message(self._database, account_id, message_id)

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match."""
        return await message_list.find_page(self._database, account_id, await self._prepare(account_id, query))

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """How many messages match, and how many are unread."""
        return await message_list.count_messages(self._database, account_id, await self._prepare(account_id, query))

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The senders of the messages in a mailbox."""
        query = await self._prepare(account_id, MessageQuery(mailbox))
        return await message_list.list_senders(self._database, account_id, query.mailbox or mailbox)

    # Accounts.

    async def usage(self, account_id: AccountId) -> int:
        """Octets that the account's mailboxes hold."""
        return await self._usage.query(account_id)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit, by a cached usage that is a few seconds old at most."""
        await self._usage.check(account_id, octets, quota)

    def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop lock."""
        return hold_maildrop(self._locks, account_id, wait_seconds)

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the notices of an account."""
        return self._notices.listen(account_id)

    # Maintenance, beyond `MailStore`.

    async def collect_garbage(self) -> int:
        """Remove rows that concurrent deletions left unreferenced; how many. For the administrator or a nightly job."""
        return await self._committer.run_without_notice(expunge.collect_garbage, removes=True)

    async def trim_requests(self) -> int:
        """Remove the requests that are older than a day; how many."""
        return await self._requests.trim()

    async def trim_tombstones(self) -> int:
        """Remove tombstones that are too old or too many; how many. Each process does so once a day."""
        return await tombstones.trim(self._database, self._committer.run_without_notice)

    async def _prepare(self, account_id: AccountId, query: MessageQuery) -> MessageQuery:
        """Bring up to date what the query searches, and spell its mailbox as it is stored."""
        if searches_text(query):
            await self._texts.bring_up_to_date(account_id)
        if query.mailbox is None:
            return query
        equivalent = await mailboxes.find_equivalent_name(self._database, account_id, query.mailbox)
        return replace(query, mailbox=equivalent or query.mailbox)

    async def _named(self, account_id: AccountId, name: str, act: Callable[[str], Awaitable[T]]) -> T:
        return await mailboxes.retry_with_equivalent_name(self._database, account_id, name, act)

    async def _make_texts(self, messages: int) -> int:
        """Make search texts in advance, but not with the last space of a disk, which mail and its removal need."""
        if self._reserve is not None and self._reserve.is_nearly_full:
            return 0
        return await self._texts.make_some(messages)

    def _changed_by(self) -> ChangedBy | None:
        return None if self._actor is None else self._actor.changes()

    def _telling(self) -> Telling:
        return Telling(self._writer, self._changed_by())

    def _evict_removed(self, committed: Committed[Any]) -> None:
        if removal := committed.removal:
            self._evict(removal)

    def _evict(self, removal: Removal) -> None:
        """Evict removed messages from the caches; called for commits of this process and for notices of others."""
        if removal.message_ids is None:
            self._generations.expire(removal.account_id)
        elif generation := self._generations.current(removal.account_id):
            generation.removals += 1
            self._blobs.evict(generation, removal.message_ids)
            self._contents.evict(generation, removal.message_ids)
