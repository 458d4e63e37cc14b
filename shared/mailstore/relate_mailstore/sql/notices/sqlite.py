"""Notices of change on SQLite, which sends none: this process tells itself, and watches the file for what others do.

SQLite counts commits, whoever made them: `PRAGMA data_version` reads a few octets of shared memory, in microseconds.
When the count changed, the mailboxes of the accounts that are subscribed to are looked up.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Collection, Container, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import Connection

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.mailboxes import FIRST_MODSEQ, Step, advance
from relate_mailstore.sql.notices.freshness import Heard
from relate_mailstore.sql.notices.postgres import ACCOUNTS_PER_LOOK, Removal, look_up
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice
from relate_supervisor import Supervisor

POLL_SECONDS = 0.01  # another process's commit is noticed that late

_log = structlog.get_logger(__name__)


class FileVersion:
    """The version of a database file, at most POLL_SECONDS old. Two that are equal: nothing was committed between."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._until = 0.0
        self._failures = 0

    def __call__(self) -> int:
        """The version, asked for anew when it is too old."""
        if time.monotonic() >= self._until:
            self.renew()
        return self._version

    def renew(self) -> None:
        """Ask for it anew: some microseconds."""
        self._version = self._ask()
        self._until = time.monotonic() + POLL_SECONDS

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self) -> int:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:  # whoever uses the store hears of it; here it means that anything may have changed
            self._failures += 1
            return -self._failures
        return version


class FileNotices:
    """Tells the subscribers of this process what it commits, and what others did as soon as it is seen."""

    def __init__(self, database: Database, path: Path, supervisor: Supervisor) -> None:
        self._version = FileVersion(path)
        self.heard = Heard(self._version)
        self._listeners = ChangeListeners()
        self._database = database
        self._supervisor = supervisor
        self._told: dict[AccountId, dict[MailboxId, int]] = {}  # modseqs, of the accounts that are subscribed to
        self._watching: asyncio.Task[None] | None = None

    def epoch(self) -> object:
        """The version of the file."""
        self._version.renew()
        return self._version()

    def advance(self, connection: Connection, steps: Sequence[Step], removal: Removal | None = None) -> None:
        """Nothing is told before the commit."""
        advance(connection, steps)

    def committed(self, changes: Collection[MailboxNotice]) -> None:
        """Tell the subscribers at once."""
        self.heard.hear(changes)
        self._tell(changes)

    async def catch_up(self) -> bool:
        """See whether the file is another one than it was."""
        self._version.renew()
        return True

    @asynccontextmanager
    async def listen(self, account_id: AccountId) -> AsyncIterator[AsyncIterator[MailboxNotice]]:
        """The changes of an account, from now on: what happened before is noted as told."""
        async with self._listeners.listen(account_id) as changes:
            before = {change.mailbox_id: change.modseq for change in await look_up(self._database, [account_id])}
            self._told[account_id] = before | self._told.get(account_id, {})
            try:
                yield changes
            finally:
                if self._listeners.count(account_id) == 1:
                    self._told.pop(account_id, None)

    def start(self) -> None:
        """Begin to watch the file."""
        self._watching = self._supervisor.keep("mailstore.notices", self._watch)

    async def close(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self._version.close()

    async def _watch(self) -> None:
        seen: int | None = None
        while True:
            await self._listeners.present()
            version = self._version()
            if version != seen and await self._look_up():
                seen = version
            await asyncio.sleep(POLL_SECONDS)

    async def _look_up(self) -> bool:
        """Tell of what the mailboxes are at; whether they could be looked at."""
        accounts = iter(tuple(self._told))
        try:
            while portion := list(islice(accounts, ACCOUNTS_PER_LOOK)):
                changes = await look_up(self._database, portion)
                self._version.renew()  # those who are told of a change must not find that the file is as it was
                self._tell(changes)
                self._tell_deleted(portion, {change.mailbox_id for change in changes})
        except StoreUnavailable as error:
            _log.warning("notices.look_failed", error=str(error))
            return False
        return True

    def _tell_deleted(self, accounts: Iterable[AccountId], there: Container[MailboxId]) -> None:
        """Mailboxes that are gone have no row to look up: each is told of once."""
        for account_id in accounts:
            told = self._told.get(account_id, {})
            for mailbox_id in [one for one in told if one not in there]:
                self._listeners.notify([MailboxNotice(account_id, mailbox_id, told.pop(mailbox_id) + 1)])

    def _tell(self, changes: Iterable[MailboxNotice]) -> None:
        for change in changes:
            told = self._told.get(change.account_id)
            if told is not None and change.modseq > told.get(change.mailbox_id, FIRST_MODSEQ):
                told[change.mailbox_id] = change.modseq
                self._listeners.notify([change])
