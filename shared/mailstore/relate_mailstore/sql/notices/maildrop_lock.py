"""The maildrop's lock (RFC 1939 §4): one POP3 session at a time has an account's maildrop, over all processes.

Within a process a set says who; between processes an advisory lock or a lock file does, which end with the process,
however it ends. Should a lock be lost with its connection, two sessions may see the same messages: nothing worse, as
each entry is expunged only once.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import asyncpg
import structlog

from relate_config.private import open_private
from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.polling import poll
from relate_mailstore.sql.driver.coalesce import Gathered
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.driver.session_connection import SideConnection
from relate_mailstore.types import AccountId

LOCK_CLASS = 0x4D61696C  # "Mail": the first key of our advisory locks, so that they meet nobody else's
LOCK_KEYS = 2**31  # the second key has 32 bits; accounts that share one only wait for each other

_TAKE = "SELECT pg_try_advisory_lock($1, $2)"
# One after the other, in this order.
_EXCHANGE = """
    SELECT key, pg_advisory_unlock($1, key) FROM unnest($2::int[]) AS key
    UNION ALL SELECT key, pg_try_advisory_lock($1, key) FROM unnest($3::int[]) AS key
"""

_log = structlog.get_logger(__name__)


class Locks(Protocol):
    """What keeps processes apart. `held`: the accounts whose maildrop this process has, or is about to take."""

    held: set[AccountId]

    async def take(self, account_id: AccountId) -> bool:
        """Take the lock, if it is free."""

    async def give_back(self, account_id: AccountId) -> None:
        """Give the lock back; harmless where it was not taken."""


@asynccontextmanager
async def hold_maildrop(locks: Locks, account_id: AccountId, patience: float) -> AsyncIterator[None]:
    """Hold an account's maildrop. Raises MaildropInUse, StoreUnavailable."""
    if not await poll(partial(_take, locks, account_id), patience):
        raise MaildropInUse(f"maildrop of account {account_id}")
    try:
        yield
    finally:
        await _let_go(locks, account_id)


async def _take(locks: Locks, account_id: AccountId) -> bool:
    if account_id in locks.held:
        return False
    locks.held.add(account_id)
    taken = False
    try:
        taken = await locks.take(account_id)
    finally:
        if not taken:
            await _let_go(locks, account_id)
    return taken


async def _let_go(locks: Locks, account_id: AccountId) -> None:
    # Shielded: a session that is cancelled, be it while it takes the lock, must not leave it behind.
    await asyncio.shield(asyncio.ensure_future(_give_back(locks, account_id)))


async def _give_back(locks: Locks, account_id: AccountId) -> None:
    try:
        await locks.give_back(account_id)
    finally:
        locks.held.discard(account_id)


class _Wish(NamedTuple):
    """What one session wants of the locks."""

    key: int
    take: bool


class AdvisoryLocks:
    """PostgreSQL's advisory locks, held by the side connection."""

    def __init__(self, side: SideConnection) -> None:
        self.held: set[AccountId] = set()
        self._taken: set[AccountId] = set()
        self._side = side
        self._grant: Gathered[_Wish, bool] = Gathered(self._exchange)
        side.on_connect(self._take_again)

    async def take(self, account_id: AccountId) -> bool:
        """Raises StoreUnavailable."""
        taken = await self._grant(_Wish(_key(account_id), take=True))
        if taken:
            self._taken.add(account_id)
        return taken

    async def give_back(self, account_id: AccountId) -> None:
        """A connection that is down holds no lock."""
        self._taken.discard(account_id)
        with suppress(StoreUnavailable):
            await self._grant(_Wish(_key(account_id), take=False))

    async def _exchange(self, wishes: Sequence[_Wish]) -> Sequence[bool]:
        rows = await self._side.fetch(
            _EXCHANGE,
            LOCK_CLASS,
            [wish.key for wish in wishes if not wish.take],
            [wish.key for wish in wishes if wish.take],
        )
        granted = dict(rows)
        return [granted[wish.key] for wish in wishes]

    async def _take_again(self, connection: asyncpg.Connection) -> None:
        for account_id in tuple(self._taken):
            if not await connection.fetchval(_TAKE, LOCK_CLASS, _key(account_id)):
                _log.warning("maildrop.lock_lost", account=account_id)


def _key(account_id: AccountId) -> int:
    return account_id % LOCK_KEYS


class LockFile:
    """Locks of single octets of a file, each at the offset of its account; the file is open while any is held.

    POSIX drops all of a process's locks of a file when any descriptor of it is closed: hence one object a file.
    """

    _by_path: ClassVar[dict[Path, "LockFile"]] = {}

    def __init__(self, path: Path) -> None:
        self.held: set[AccountId] = set()
        self._path = path
        self._file: BufferedWriter | None = None

    @classmethod
    def beside(cls, database: Path) -> "LockFile":
        """The lock file of an SQLite database, shared by all that use it in this process."""
        path = database.resolve().with_name(f"{database.name}.maildrops")
        return cls._by_path.setdefault(path, cls(path))

    async def take(self, account_id: AccountId) -> bool:
        """Does not wait. Raises StoreUnavailable."""
        with database_errors:
            if self._file is None:
                self._file = open(self._path, "ab", opener=open_private)  # noqa: ASYNC230, SIM115
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, account_id, os.SEEK_SET)
            except BlockingIOError:
                return False
            return True

    async def give_back(self, account_id: AccountId) -> None:
        """Does not wait."""
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, account_id, os.SEEK_SET)
            if self.held <= {account_id}:
                self._file.close()
                self._file = None
