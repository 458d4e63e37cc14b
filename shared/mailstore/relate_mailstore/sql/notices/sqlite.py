"""Change notices on SQLite, which has no NOTIFY: commits of other processes are detected by polling the database file.

When the version of the file changes, the mailboxes of the accounts with listeners are looked up.
"""

import asyncio
from collections.abc import AsyncIterator, Container, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.live_types import NO_MAILBOX
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.file_version import POLL_SECONDS, FileVersion
from relate_mailstore.sql.mailboxes import FIRST_MODSEQ, advance
from relate_mailstore.sql.notices.freshness import Freshness
from relate_mailstore.sql.notices.ports import ACCOUNTS_PER_QUERY, look_up
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice, ModSeq
from relate_supervisor import Supervisor

_log = structlog.get_logger(__name__)


class FileNotices:
    """`Notices` by polling. Commits of this process are published to its listeners at once."""

    def __init__(self, database: Database, path: Path, supervisor: Supervisor, caches: Caches) -> None:
        self._version = FileVersion(path)
        self.freshness = Freshness(self._version.get, caches)
        self._listeners = ChangeListeners()
        self._database = database
        self._supervisor = supervisor
        self._published: dict[AccountId, dict[MailboxId, ModSeq]] = {}  # last modseqs, of accounts with listeners
        self._poller: asyncio.Task[None] | None = None

    def epoch(self) -> object:
        """The version of the file now."""
        self._version.refresh()
        return self._version.get()

    def advance(self, connection: Connection, committed: Committed[Any]) -> None:
        """Write the rows of the mailboxes; `on_commit` sends the notice."""
        advance(connection, committed.deltas)

    def on_commit(self, committed: Committed[Any]) -> None:
        """Record the commit and publish it."""
        changes = committed.notices
        self.freshness.record(changes)
        self._publish(changes)

    async def catch_up(self) -> bool:
        """Refresh the version of the file."""
        self._version.refresh()
        return True

    @asynccontextmanager
    async def listen(self, account_id: AccountId) -> AsyncIterator[AsyncIterator[MailboxNotice]]:
        """Subscribe to the notices of an account; its present modseqs count as published."""
        async with self._listeners.listen(account_id) as changes:
            before = {change.mailbox_id: change.modseq for change in await look_up(self._database, [account_id])}
            self._version.refresh()  # what counts as published now must not look unread by an expired epoch
            self._published[account_id] = before | self._published.get(account_id, {})
            try:
                yield changes
            finally:
                if self._listeners.count(account_id) == 1:
                    self._published.pop(account_id, None)

    def start(self) -> None:
        """Start polling the file."""
        self._poller = self._supervisor.keep("mailstore.notices", self._poll)

    async def close(self) -> None:
        """Stop polling the file."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
        self._version.close()

    async def _poll(self) -> None:
        seen: int | None = None
        while True:
            await self._listeners.present()
            version = self._version.get()
            if version != seen and await self._look_up():
                seen = version
            await asyncio.sleep(POLL_SECONDS)

    async def _look_up(self) -> bool:
        """Publish the changes of all accounts with listeners. False if the query failed."""
        accounts = iter(tuple(self._published))
        try:
            while batch := list(islice(accounts, ACCOUNTS_PER_QUERY)):
                with self._supervisor.tracing.poll():
                    changes = await look_up(self._database, batch)
                self._version.refresh()  # a listener that is notified now must not see an expired epoch as current
                self._publish(changes)
                self._publish_deleted(batch, {change.mailbox_id for change in changes})
        except StoreUnavailable as error:
            _log.warning("notices.look_failed", error=str(error))
            return False
        return True

    def _publish_deleted(self, accounts: Iterable[AccountId], existing: Container[MailboxId]) -> None:
        """Publish each mailbox that was deleted, once: it has no row to look up."""
        for account_id in accounts:
            published = self._published.get(account_id, {})
            for mailbox_id in [one for one in published if one not in existing]:
                modseq = ModSeq(published.pop(mailbox_id) + 1)
                self._listeners.notify([MailboxNotice(account_id, mailbox_id, modseq)])

    def _publish(self, changes: Iterable[MailboxNotice]) -> None:
        for change in changes:
            published = self._published.get(change.account_id)
            unchanged = NO_MODSEQ if change.mailbox_id == NO_MAILBOX else FIRST_MODSEQ
            if published is not None and change.modseq > published.get(change.mailbox_id, unchanged):
                published[change.mailbox_id] = change.modseq
                self._listeners.notify([change])
