"""`MailStore` on SQLite and PostgreSQL. One method is one transaction; what it does is in the modules beside this one.

`open_store` is the way in: it starts the writer and the receiver of notices, and ends them in order.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.mime import index_message
from relate_mailstore.ports import RawMessage
from relate_mailstore.rules import message_ids
from relate_mailstore.sql import changes, mailboxes, queries
from relate_mailstore.sql.batch import store_batch
from relate_mailstore.sql.blobs import Blobs
from relate_mailstore.sql.changes import Done
from relate_mailstore.sql.database import Database, Work
from relate_mailstore.sql.dialects import POSTGRESQL
from relate_mailstore.sql.engine import database_file
from relate_mailstore.sql.ingest import Accepted, GroupCommit, Outcome
from relate_mailstore.sql.maildrop import AdvisoryLocks, LockFile, Locks, hold_maildrop
from relate_mailstore.sql.notify import LocalNotices, Notices, PostgresNotices
from relate_mailstore.sql.quota import Usage
from relate_mailstore.sql.rows import index_row
from relate_mailstore.sql.side import SideConnection
from relate_mailstore.sql.snapshots import Snapshots
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Change,
    Delivery,
    FlagChange,
    Flagged,
    Listed,
    Mailbox,
    MailboxId,
    MessageId,
    MessageIndex,
    MessageQuery,
    Page,
    Receipt,
    Snapshot,
)

INLINE_INDEX_OCTETS = 256 * 1024  # indexed in the loop: some milliseconds; more is done in a thread

_PING = text("SELECT 1")

T = TypeVar("T")
Index = Callable[[bytes], MessageIndex]


@asynccontextmanager
async def open_store(engine: AsyncEngine, index: Index = index_message) -> AsyncIterator["SqlMailStore"]:
    """A store on a migrated database, closed on leaving; the engine stays the caller's. Raises StoreUnavailable."""
    store = SqlMailStore(engine, index)
    try:
        await store.start()
        yield store
    finally:
        await store.close()


class SqlMailStore:
    """`MailStore` on an engine. `index` computes what is known of a message at delivery."""

    def __init__(self, engine: AsyncEngine, index: Index = index_message) -> None:
        self._index = index
        self._message_ids = message_ids()
        self._database = Database(engine)
        self._side = SideConnection(engine) if self._database.dialect == POSTGRESQL else None
        self._notices: Notices = PostgresNotices(self._database, self._side) if self._side else LocalNotices()
        self._locks: Locks = AdvisoryLocks(self._side) if self._side else LockFile.beside(database_file(engine))
        self._commits = GroupCommit(self._store_batch)
        self._snapshots = Snapshots(self._database)
        self._blobs = Blobs(self._database)
        self._usage = Usage(self._database)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to write and to listen. Raises StoreUnavailable."""
        if self._side:
            await self._side.start()
        self._notices.start()
        self._commits.start()

    async def close(self) -> None:
        """Store what was accepted, then let go of the database. Harmless when repeated."""
        await self._commits.close()
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
        message_id = next(self._message_ids)
        columns = await self._describe(delivery.raw, message_id)
        try:
            return await self._commits.deliver(Accepted(delivery, message_id, columns))
        except MailboxNotFound:
            await mailboxes.provision_for(self._database, delivery.destinations)
        return await self._commits.deliver(Accepted(delivery, message_id, columns))

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit, as far as this process knows."""
        await self._usage.check(account_id, octets, quota)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name."""
        return await mailboxes.find_mailbox(self._database, account_id, name)

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""
        return await mailboxes.list_mailboxes(self._database, account_id)

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries: the same object until something changes."""
        return await self._snapshots.snapshot(account_id, name)

    async def open(self, account_id: AccountId, message_id: MessageId) -> RawMessage:
        """Open a raw message for reading; no query if it is kept."""
        return await self._blobs.open(account_id, message_id)

    async def read_ahead(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        """Fetch the first of these together, if they are small."""
        await self._blobs.read_ahead(account_id, message_ids)

    async def message(self, account_id: AccountId, message_id: MessageId) -> Listed:
        """One message with its index and flags."""
        return await queries.find_message(self._database, account_id, message_id)

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        """One page of the messages that match. Raises ValueError for a cursor that is none of ours."""
        return await queries.find_page(self._database, account_id, query)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        change: FlagChange,
        unchanged_since: int | None = None,
    ) -> Flagged:
        """Change flags of entries; the entries as they are now, in UID order."""
        return await self._change(
            partial(
                changes.set_flags,
                account_id=account_id,
                mailbox_id=mailbox_id,
                uids=uids,
                change=change,
                unchanged_since=unchanged_since,
            )
        )

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> Listed:
        """Change flags of a message in every mailbox it is entered in; the message as it is now."""
        await self._change(partial(changes.flag_message, account_id=account_id, message_id=message_id, change=change))
        return await self.message(account_id, message_id)

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        """Remove entries for good; the UIDs that were there, ascending."""
        return await self._change(partial(changes.expunge, account_id=account_id, mailbox_id=mailbox_id, uids=uids))

    async def delete_message(self, account_id: AccountId, message_id: MessageId) -> None:
        """Remove a message from every mailbox of this account."""
        await self._change(partial(changes.delete_message, account_id=account_id, message_id=message_id))

    async def collect_garbage(self) -> int:
        """Remove what concurrent deletions left behind; how many rows. For the administrator, or a night's job."""
        return await self._database.transact(changes.collect_garbage)

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop, over all processes."""
        return hold_maildrop(self._locks, account_id, patience)

    def changes(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Subscribe to the account's changes."""
        return self._notices.subscriptions.subscribe(account_id)

    async def _describe(self, raw: bytes, message_id: MessageId) -> dict[str, Any]:
        if len(raw) <= INLINE_INDEX_OCTETS:
            return index_row(self._index(raw), message_id)
        return await asyncio.to_thread(lambda: index_row(self._index(raw), message_id))

    async def _store_batch(self, waiting: Sequence[Accepted]) -> Sequence[Outcome]:
        return await self._persist(partial(store_batch, batch=waiting))

    async def _change(self, work: Work[Done[T]]) -> T:
        """Do `work` in a transaction that also advances the mailboxes it changed, and tell of it.

        Once begun, it is finished: whoever subscribed is told even if the caller has gone meanwhile.
        """
        task = asyncio.create_task(self._persist(work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _persist(self, work: Work[Done[T]]) -> T:
        done = await self._database.transact(partial(self._advance, work=work))
        self._notices.committed([step.change for step in done.steps])
        for step in done.steps:
            self._usage.add(step.mailbox.account_id, step.octets)
            self._blobs.forget(step.mailbox.account_id, done.gone)
        return done.result

    def _advance(self, connection: Connection, work: Work[Done[T]]) -> Done[T]:
        done = work(connection)
        if done.steps:
            mailboxes.advance(connection, done.steps)
            self._notices.announce(connection, [step.change for step in done.steps])
        return done
