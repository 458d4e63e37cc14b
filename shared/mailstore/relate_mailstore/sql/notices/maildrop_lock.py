"""The maildrop lock (RFC 1939 §4): an account's maildrop is open in one POP3 session at a time, over all processes.

Within a process a set of accounts excludes other sessions; between processes an advisory lock (PostgreSQL) or a lock
file (SQLite) does. Both end with the process, however it ends. If a lock is lost with its connection, two sessions
may see the same messages, which is tolerable, because each entry is expunged only once.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import asyncpg
import structlog

from relate_config.private import open_private
from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.polling import poll
from relate_mailstore.sql.driver.coalesce import Coalescer
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.types import AccountId

LOCK_CLASS = 0x4D61696C  # "Mail": the first key of the advisory locks, so that they meet no other application's
LOCK_KEYS = 2**31  # the second key has 32 bits; accounts that share one exclude each other

_ACQUIRE = "SELECT pg_try_advisory_lock($1, $2)"
# The branches are executed in this order.
_RELEASE_AND_ACQUIRE = """
    SELECT key, pg_advisory_unlock($1, key) FROM unnest($2::int[]) AS key
    UNION ALL SELECT key, pg_try_advisory_lock($1, key) FROM unnest($3::int[]) AS key
"""

_log = structlog.get_logger(__name__)


class MaildropLocks(Protocol):
    """Locks between processes. `held`: the accounts whose lock this process has or is acquiring."""

    held: set[AccountId]

    async def acquire(self, account_id: AccountId) -> bool:
        """Acquire the lock without waiting. False if another process has it. Raises StoreUnavailable."""

    async def release(self, account_id: AccountId) -> None:
        """Release the lock. Idempotent."""


@asynccontextmanager
async def hold_maildrop(locks: MaildropLocks, account_id: AccountId, wait_seconds: float) -> AsyncIterator[None]:
    """Hold an account's maildrop lock, after polling for at most `wait_seconds`.

    Raises MaildropInUse, StoreUnavailable. The release runs in the context of the call, so that its span has a parent.
    """
    context = copy_context()
    if not await poll(partial(_acquire, locks, account_id), wait_seconds):
        raise MaildropInUse(f"maildrop of account {account_id}")
    try:
        yield
    finally:
        await _release_shielded(locks, account_id, context)


async def _acquire(locks: MaildropLocks, account_id: AccountId) -> bool:
    if account_id in locks.held:
        return False
    locks.held.add(account_id)
    acquired = False
    try:
        acquired = await locks.acquire(account_id)
    finally:
        if not acquired:
            await _release_shielded(locks, account_id, copy_context())
    return acquired


async def _release_shielded(locks: MaildropLocks, account_id: AccountId, context: Context) -> None:
    # A session that is cancelled, even while it acquires the lock, must not leave it locked.
    await asyncio.shield(asyncio.create_task(_release(locks, account_id), context=context))


async def _release(locks: MaildropLocks, account_id: AccountId) -> None:
    try:
        await locks.release(account_id)
    finally:
        locks.held.discard(account_id)


class _Request(NamedTuple):
    """A lock to acquire, or to release."""

    key: int
    acquire: bool


class AdvisoryLocks:
    """`MaildropLocks` by PostgreSQL's advisory locks, which the session connection holds.

    Concurrent requests share a round trip. After a reconnect the locks are acquired again.
    """

    def __init__(self, side: SessionConnection) -> None:
        self.held: set[AccountId] = set()
        self._acquired: set[AccountId] = set()
        self._side = side
        self._request: Coalescer[_Request, bool] = Coalescer(self._execute)
        side.on_connect(self._reacquire)

    async def acquire(self, account_id: AccountId) -> bool:
        """See `MaildropLocks`."""
        acquired = await self._request(_Request(_key(account_id), acquire=True))
        if acquired:
            self._acquired.add(account_id)
        return acquired

    async def release(self, account_id: AccountId) -> None:
        """See `MaildropLocks`. While the connection is down PostgreSQL holds no lock for it."""
        self._acquired.discard(account_id)
        with suppress(StoreUnavailable):
            await self._request(_Request(_key(account_id), acquire=False))

    async def _execute(self, requests: Sequence[_Request]) -> Sequence[bool]:
        rows = await self._side.fetch(
            _RELEASE_AND_ACQUIRE,
            LOCK_CLASS,
            [request.key for request in requests if not request.acquire],
            [request.key for request in requests if request.acquire],
        )
        results = dict(rows)
        return [results[request.key] for request in requests]

    async def _reacquire(self, connection: asyncpg.Connection) -> None:
        for account_id in tuple(self._acquired):
            values = LOCK_CLASS, _key(account_id)
            with self._side.events(_ACQUIRE, values):
                is_acquired = await connection.fetchval(_ACQUIRE, *values)
            if not is_acquired:
                _log.warning("maildrop.lock_lost", account=account_id)


def _key(account_id: AccountId) -> int:
    return account_id % LOCK_KEYS


class LockFile:
    """`MaildropLocks` by locks on single octets of a file, each at the offset of its account.

    The file is open while any lock is held. POSIX drops all of a process's locks on a file when any of its
    descriptors is closed: hence one object per file and process.
    """

    _by_path: ClassVar[dict[Path, "LockFile"]] = {}

    def __init__(self, path: Path) -> None:
        self.held: set[AccountId] = set()
        self._path = path
        self._file: BufferedWriter | None = None

    @classmethod
    def beside(cls, database: Path) -> "LockFile":
        """The lock file of an SQLite database, shared by all stores of this process."""
        path = database.resolve().with_name(f"{database.name}.maildrops")
        return cls._by_path.setdefault(path, cls(path))

    async def acquire(self, account_id: AccountId) -> bool:
        """See `MaildropLocks`."""
        with database_errors:
            if self._file is None:
                self._file = open(self._path, "ab", opener=open_private)  # noqa: ASYNC230, SIM115
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, account_id, os.SEEK_SET)
            except BlockingIOError:
                return False
            return True

    async def release(self, account_id: AccountId) -> None:
        """See `MaildropLocks`."""
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, account_id, os.SEEK_SET)
            if self.held <= {account_id}:
                self._file.close()
                self._file = None
