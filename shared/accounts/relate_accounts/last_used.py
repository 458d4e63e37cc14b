"""When keys were last used: noted in memory by each login, written in the background, many at once.

A login never waits for it and never fails for it.
"""

import asyncio
from datetime import datetime
from itertools import islice

import structlog

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ports import AccountStore
from relate_supervisor import Supervisor

WRITE_INTERVAL_SECONDS = 5.0  # seconds; people read these times by the minute
MAX_PENDING_KEYS = 10_000  # keys between two writes; beyond them the time of a key is lost, never memory
STOP_TIMEOUT_SECONDS = 0.5  # seconds for the last write: a database that is gone must not hold the process

_log = structlog.get_logger("relate.accounts")


class LastUsedWriter:
    """Notes uses and writes them every few seconds, between `start` and `stop`."""

    def __init__(
        self,
        store: AccountStore,
        interval: float = WRITE_INTERVAL_SECONDS,
        now: Now = utc_now,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._store = store
        self._interval = interval
        self._now = now
        self._supervisor = supervisor or Supervisor()
        self._pending: dict[int, datetime] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, key_id: int) -> None:
        """A key was used now."""
        if len(self._pending) < MAX_PENDING_KEYS or key_id in self._pending:
            self._pending[key_id] = self._now()

    def start(self) -> None:
        """Begin to write in the background."""
        self._stopping.clear()
        self._task = self._supervisor.keep("accounts.last_used", self._write_regularly, self._stopping)

    async def stop(self) -> None:
        """Write what is pending, then end. Harmless without `start`."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        try:
            await asyncio.wait_for(task, STOP_TIMEOUT_SECONDS)
        except TimeoutError:
            _log.warning("last use of keys not written at stop")

    async def flush(self) -> None:
        """Write what is pending; what cannot be written stays pending. A database that is away is no error here."""
        batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            await self._store.touch_keys(batch)
        except BaseException as error:
            newest = batch | self._pending
            self._pending = dict(islice(newest.items(), MAX_PENDING_KEYS))
            if not isinstance(error, AccountsUnavailable):
                raise
            _log.warning("last use of keys not written yet", keys=len(batch), error=type(error).__name__)

    async def _write_regularly(self) -> None:
        while not await self._told_to_stop():
            await self.flush()
        await self.flush()

    async def _told_to_stop(self) -> bool:
        try:
            return await asyncio.wait_for(self._stopping.wait(), self._interval)
        except TimeoutError:
            return False
