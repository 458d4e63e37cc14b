"""`MailStore` on SQLite and PostgreSQL. One method is one transaction; what it does is in the modules beside this one.

`open_store` is the way in: it starts the writer and the receiver of notices, and ends them in order.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MailboxNotFound, StoreError, StoreFull
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.keywords import new_keywords, spell
from relate_mailstore.mailbox_names import deletable_name, find_name
from relate_mailstore.mime import index_message
from relate_mailstore.mime.cost import is_cheap_to_index
from relate_mailstore.ports import RawMessage
from relate_mailstore.sql import mailboxes
from relate_mailstore.sql.driver.database import Database, Work
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.disk_reserve import Removals, Reserve
from relate_mailstore.sql.driver.engine import database_file
from relate_mailstore.sql.driver.session_connection import SideConnection
from relate_mailstore.sql.mailboxes import Key
from relate_mailstore.sql.notices.maildrop_lock import AdvisoryLocks, LockFile, Locks, hold_maildrop
from relate_mailstore.sql.notices.postgres import Notices, PostgresNotices, Removal
from relate_mailstore.sql.notices.sqlite import FileNotices
from relate_mailstore.sql.read import message_list
from relate_mailstore.sql.read.blobs import Blobs
from relate_mailstore.sql.read.generations import Generations
from relate_mailstore.sql.read.mailbox_cache import Snapshots
from relate_mailstore.sql.read.message_cache import Contents
from relate_mailstore.sql.read.quota import Usage
from relate_mailstore.sql.read.search import Search
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.read.summaries import Summaries
from relate_mailstore.sql.schema.rows import index_row, stored_name
from relate_mailstore.sql.upkeep import tombstones
from relate_mailstore.sql.upkeep.background import Upkeep
from relate_mailstore.sql.write import append_copy, expunge, namespace
from relate_mailstore.sql.write.deliver import store_batch
from relate_mailstore.sql.write.expunge import Committed
from relate_mailstore.sql.write.flags import BATCH_UIDS, FlagRequest, change_believed, change_flags
from relate_mailstore.sql.write.group_commit import Accepted, GroupCommit, Outcome
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Appended,
    Copied,
    Delivery,
    Destination,
    Flag,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageId,
    MessageIndex,
    MessagePage,
    MessageQuery,
    NewMessage,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
)
from relate_supervisor import Supervisor

_PING = text("SELECT 1")

T = TypeVar("T")
Index = Callable[[bytes], MessageIndex]


@asynccontextmanager
async def open_store(
    engine: AsyncEngine, index: Index = index_message, supervisor: Supervisor | None = None
) -> AsyncIterator["SqlMailStore"]:
    """A store on a migrated database, closed on leaving; the engine stays the caller's. Raises StoreUnavailable."""
    store = SqlMailStore(engine, index, supervisor or Supervisor())
    try:
        await store.start()
        yield store
    finally:
        await store.close()


class SqlMailStore:
    """`MailStore` on an engine. `index` computes what is known of a message at delivery."""

    def __init__(self, engine: AsyncEngine, index: Index, supervisor: Supervisor) -> None:
        self._index = index
        self._supervisor = supervisor
        self._message_ids = generate_message_ids()
        self._database = Database(engine)
        self._side = SideConnection(engine, supervisor) if self._database.dialect == POSTGRESQL else None
        self._notices: Notices = (
            PostgresNotices(self._database, self._side, self._evict, supervisor)
            if self._side
            else FileNotices(self._database, database_file(engine), supervisor)
        )
        self._locks: Locks = AdvisoryLocks(self._side) if self._side else LockFile.beside(database_file(engine))
        self._reserve = None if self._side else Reserve(database_file(engine))
        self._remove = Removals(self._database, self._reserve)
        self._commits: GroupCommit[Accepted, Receipt] = GroupCommit(self._store_batch, supervisor)
        self._flags: GroupCommit[FlagRequest, Flagged] = GroupCommit(
            self._change_flags, supervisor, "mailstore.flag_writer", BATCH_UIDS
        )
        self._snapshots = Snapshots(self._database, self._notices)
        if self._side:
            self._side.on_connect(self._snapshots.forget_all)
        self._generations = Generations(self._database, self._notices.heard.epoch, self._notices.epoch)
        self._blobs = Blobs(self._database, self._generations, supervisor)
        self._contents = Contents(self._database, self._generations, self._blobs)
        self._usage = Usage(self._database)
        self._texts = Texts(self._database, self._blobs)
        self._summaries = Summaries(self._database, self._texts)
        self._search = Search(self._database, self._texts)
        self._upkeep = Upkeep(
            self._texts.make_some, self.trim_tombstones, lambda: self._notices.heard.notices, supervisor
        )
        self._under_way: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to write and to listen. Raises StoreUnavailable."""
        if self._side:
            await self._side.start()
        self._notices.start()
        self._commits.start()
        self._flags.start()
        self._upkeep.start()

    async def close(self) -> None:
        """Store what was accepted, then let go of the database. Harmless when repeated."""
        await self._commits.close()
        await self._flags.close()
        await self._upkeep.close()
        await self._snapshots.close()
        await self._blobs.close()
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._notices.close()
        if self._side:
            await self._side.close()
        await self._database.close()

    async def ping(self) -> None:
        """One small query. Raises StoreUnavailable."""
        await self._database.fetch(_PING, {})

    async def provision(self, account_id: AccountId) -> None:
        """Give an account INBOX and the special-use mailboxes, unless it has an INBOX."""
        await mailboxes.provision(self._database, account_id)

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message and enter it for every destination, with whatever else waits to be stored."""
        for to in delivery.destinations:
            new_keywords(to.keywords)
        message_id = next(self._message_ids)
        columns = await self._describe(delivery.raw, message_id)
        try:
            return await self._commits.deliver(Accepted(delivery, message_id, columns))
        except MailboxNotFound:
            destinations = [await self._destination(to) for to in delivery.destinations]
            await mailboxes.provision_for(self._database, destinations)
        delivery = replace(delivery, destinations=tuple(destinations))
        return await self._commits.deliver(Accepted(delivery, message_id, columns))

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit, as far as this process knows."""
        await self._usage.check(account_id, octets, quota)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name."""
        return await self._named(account_id, name, partial(self._snapshots.mailbox, account_id))

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""
        return await mailboxes.list_mailboxes(self._database, account_id)

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries: the same object until something changes."""
        return await self._named(account_id, name, partial(self._snapshots.snapshot, account_id))

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The same mailbox as it is now; no query where nothing was heard of it."""
        return await self._snapshots.refresh(snapshot)

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Make a mailbox, in an account that has what all accounts have."""
        await self.provision(account_id)
        return await self._database.transact(
            partial(namespace.create_mailbox, account_id=account_id, name=name, special_use=special_use)
        )

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries. Raises ValueError for INBOX."""

        async def delete(name: str) -> None:
            work = partial(namespace.delete_mailbox, account_id=account_id, name=name)
            await self._change(work, removes=True)

        await self._named(account_id, deletable_name(name), delete)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and all below it, or move what is in INBOX."""
        await self._change(partial(namespace.rename_mailbox, account_id=account_id, name=name, new_name=new_name))

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to."""
        return await namespace.list_subscriptions(self._database, account_id)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it."""
        work = partial(namespace.subscribe, account_id=account_id, name=name, subscribed=subscribed)
        await self._database.transact(work)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: int | None = None) -> int:
        """The first UID that was not taken before; a query where nothing below `until` is left."""
        recent, uid_next = await namespace.first_recent(self._database, account_id, mailbox_id)
        taken = recent
        if recent < namespace.first_left(uid_next, until):
            # Without which no mailbox is selected, and so nothing in it removed.
            take = partial(namespace.take_recent, account_id=account_id, mailbox_id=mailbox_id, until=until)
            recent, taken = await self._remove(take)
        self._snapshots.learn_recent(mailbox_id, taken)
        return recent

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, int] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Put messages into a mailbox; a single one shares the commit of the deliveries that wait beside it."""

        async def append(name: str) -> Appended:
            if replaces is None and len(messages) == 1:
                receipt = await self._commits.deliver(await self._accept(account_id, name, messages[0], quota))
                return Appended(receipt.entered[0][0], (receipt.entered[0][1],))
            batch = [await self._accept(account_id, name, incoming) for incoming in messages]
            return await self._change(
                partial(append_copy.append, account_id=account_id, batch=batch, replaces=replaces, quota=quota)
            )

        return await self._named(account_id, mailbox, append)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages into another mailbox too."""

        async def copy(name: str) -> Copied:
            return await self._change(
                partial(
                    append_copy.copy, account_id=account_id, mailbox_id=mailbox_id, uids=uids, target=name, quota=quota
                )
            )

        return await self._named(account_id, target, copy)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], target: str) -> Copied:
        """Enter messages into another mailbox instead."""

        async def move(name: str) -> Copied:
            work = partial(append_copy.move, account_id=account_id, mailbox_id=mailbox_id, uids=uids, target=name)
            return await self._change(work, removes=True)  # to the trash, mostly

        return await self._named(account_id, target, move)

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> Sequence[int] | None:
        """UIDs expunged after `modseq`; None below the mailbox's horizon."""
        return await tombstones.vanished(self._database, account_id, mailbox_id, modseq)

    async def usage(self, account_id: AccountId) -> int:
        """Octets that the account's mailboxes hold."""
        return await self._usage.ask(account_id)

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """What FETCH answers of these messages without opening them."""
        return await self._contents.renderings(account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """Where the parts of these messages lie."""
        return await self._contents.indexes(account_id, message_ids)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw headers of these messages."""
        return await self._contents.headers(account_id, message_ids)

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each of the snapshot's entries."""
        return await self._summaries.summaries(snapshot)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        """UIDs of the entries whose text contains this."""
        return await self._search.containing(snapshot, text, part)

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message for reading; no query if it is kept, or on its way."""
        return await self._blobs.open(account_id, message_id, ahead)

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages for reading."""
        return await self._blobs.open_all(account_id, message_ids, ahead)

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """One message with its index and flags."""
        return await message_list.find_message(self._database, account_id, message_id)

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match. Raises ValueError for a cursor that is none of ours."""
        if query.mailbox is not None and (meant := await self._meant(account_id, query.mailbox)):
            query = replace(query, mailbox=meant)
        if query.text:
            await self._texts.bring_up_to_date(account_id)
        return await message_list.find_page(self._database, account_id, query)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        change: FlagChange,
        unchanged_since: int | None = None,
    ) -> Flagged:
        """Change flags of entries, in one transaction with whatever other changes wait."""
        wanted = sorted(set(uids))
        return await self._flags.deliver(FlagRequest((account_id, mailbox_id), wanted, change, unchanged_since))

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> ListedMessage:
        """Change flags of a message in every mailbox it is entered in; the message as it is now."""
        if change.add_keywords:
            names = (await self.message(account_id, message_id)).mailboxes
            for snapshot in [await self.snapshot(account_id, name) for name in names]:
                change = replace(change, add_keywords=spell(change.add_keywords, snapshot.keywords))
        await self._change(partial(expunge.flag_message, account_id=account_id, message_id=message_id, change=change))
        return await self.message(account_id, message_id)

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        """Remove entries for good; the UIDs that were there, ascending. Where room is short, half of them at a time."""
        work = partial(expunge.expunge, account_id=account_id, mailbox_id=mailbox_id, uids=uids)
        try:
            return await self._change(work, removes=True)
        except StoreFull:
            if len(uids) < 2:
                raise
        ascending = sorted(uids)
        half = len(ascending) // 2
        removed = await self.expunge(account_id, mailbox_id, ascending[:half])
        return [*removed, *await self.expunge(account_id, mailbox_id, ascending[half:])]

    async def delete_message(self, account_id: AccountId, message_id: MessageId) -> None:
        """Remove a message from every mailbox of this account."""
        work = partial(expunge.delete_message, account_id=account_id, message_id=message_id)
        await self._change(work, removes=True)

    async def collect_garbage(self) -> int:
        """Remove what concurrent deletions left behind; how many rows. For the administrator, or a night's job."""
        return await self._remove(expunge.collect_garbage)

    async def trim_tombstones(self) -> int:
        """Remove tombstones that are too old or too many; how many. Done once a day by each process."""
        return await tombstones.trim(self._database)

    def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop, over all processes."""
        return hold_maildrop(self._locks, account_id, wait_seconds)

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the account's changes."""
        return self._notices.listen(account_id)

    async def _named(self, account_id: AccountId, name: str, act: Callable[[str], Awaitable[T]]) -> T:
        """What `act` gives for a name; where there is no mailbox of just this name, for the one that is meant."""
        try:
            return await act(name)
        except MailboxNotFound:
            meant = await self._meant(account_id, name)
            if meant is None:
                raise
        return await act(meant)

    async def _meant(self, account_id: AccountId, name: str) -> str | None:
        """The name of a mailbox that is the same in another normal form: no query where there can be none."""
        if name.isascii():
            return None
        names = [mailbox.name for mailbox in await mailboxes.list_mailboxes(self._database, account_id)]
        return find_name(names, stored_name(name))

    async def _destination(self, to: Destination) -> Destination:
        return replace(to, mailbox=await self._meant(to.account_id, to.mailbox) or to.mailbox)

    async def _describe(self, raw: bytes, message_id: MessageId) -> dict[str, Any]:
        if is_cheap_to_index(raw):
            return index_row(self._index(raw), message_id)
        return await asyncio.to_thread(lambda: index_row(self._index(raw), message_id))

    async def _accept(
        self, account_id: AccountId, mailbox: str, incoming: NewMessage, quota: int | None = None
    ) -> Accepted:
        to = Destination(account_id, mailbox, incoming.flags, new_keywords(incoming.keywords), quota)
        delivery = Delivery(incoming.raw, (to,), incoming.internal_date, incoming.origin)
        message_id = next(self._message_ids)
        return Accepted(delivery, message_id, await self._describe(incoming.raw, message_id))

    async def _store_batch(self, waiting: Sequence[Accepted]) -> Sequence[Outcome]:
        return await self._persist(partial(self._store_rationed, batch=waiting))

    def _store_rationed(self, connection: Connection, batch: Sequence[Accepted]) -> Committed[Sequence[Outcome]]:
        if self._reserve:
            self._reserve.ration(connection, sum(accepted.weight for accepted in batch))
        return store_batch(connection, batch)

    async def _change_flags(self, waiting: Sequence[FlagRequest]) -> Sequence[Flagged | StoreError]:
        believed = self._snapshots.believed({one.key for one in waiting})
        # SQLite's transactions are one round trip anyway; and of many entries the round trips are the least.
        if not self._side or sum(one.weight for one in waiting) > BATCH_UIDS:
            return await self._lock_and_change_flags(waiting, believed)
        done = self._conclude(await change_believed(self._database, waiting, believed))
        left = [one for one, outcome in zip(waiting, done, strict=True) if outcome is None]
        rest = iter(await self._lock_and_change_flags(left, believed) if left else ())
        return [next(rest) if outcome is None else outcome for outcome in done]

    async def _lock_and_change_flags(
        self, waiting: Sequence[FlagRequest], believed: Mapping[Key, Snapshot]
    ) -> Sequence[Flagged | StoreError]:
        work = partial(change_flags, batch=waiting, believed=believed)
        try:
            return await self._persist(work, durable=False)
        except StoreFull:
            if not any(one.change.add & Flag.DELETED for one in waiting):
                raise
        return await self._persist(work, removes=True)  # EXPUNGE removes what is marked so

    async def _change(self, work: Work[Committed[T]], removes: bool = False) -> T:
        """Do `work` in a transaction that also advances the mailboxes it changed, and tell of it.

        Once begun, it is finished: whoever subscribed is told even if the caller has gone meanwhile.
        """
        task = asyncio.create_task(self._persist(work, removes=removes))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._supervisor.watch("mailstore.change", task)  # no one else would hear of its failure
            raise

    async def _persist(self, work: Work[Committed[T]], durable: bool = True, removes: bool = False) -> T:
        advance = partial(self._advance, work=work)
        return self._conclude(await (self._remove(advance) if removes else self._database.transact(advance, durable)))

    def _conclude(self, done: Committed[T]) -> T:
        """Tell of what was committed, and learn from it."""
        self._notices.committed([step.change for step in done.steps])
        if any(step.arrived for step in done.steps):
            self._upkeep.delivered()
        for step in done.steps:
            self._snapshots.learn(step)
            self._usage.add(step.mailbox.account_id, step.octets)
        self._generations.learn(done.steps)
        if removal := _removal(done):
            self._evict(removal)
        return done.result

    def _evict(self, removal: Removal) -> None:
        """Answer with nothing that is cached of these messages."""
        account_id, message_ids = removal
        if message_ids is None:
            self._generations.expire(account_id)
        elif generation := self._generations.current(account_id):
            generation.removals += 1
            self._blobs.forget(generation, message_ids)
            self._contents.forget(generation, message_ids)

    def _advance(self, connection: Connection, work: Work[Committed[T]]) -> Committed[T]:
        done = work(connection)
        if done.steps:
            self._notices.advance(connection, done.steps, _removal(done))
        return done


def _removal(done: Committed[Any]) -> Removal | None:
    """The messages that a transaction removed, all of one account."""
    return Removal(done.steps[0].mailbox.account_id, done.gone) if done.gone else None
