"""Records when keys were last used: in memory at each login, written in batches in the background.

A login neither waits for the write nor fails with it.
"""

import asyncio
from datetime import datetime
from itertools import islice

import structlog

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ports import AccountStore
from relate_supervisor import Supervisor

WRITE_INTERVAL_SECONDS = 5.0  # the times are displayed with minutes
MAX_PENDING_KEYS = 10_000  # between two writes; uses of further keys are not recorded, so that memory is bounded
STOP_TIMEOUT_SECONDS = 0.5  # for the last write, because an unavailable database must not delay the shutdown

_log = structlog.get_logger("relate.accounts")


class LastUsedWriter:
    """Records uses, and writes them every few seconds between `start` and `stop`."""

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
        """Record that a key is used now."""
        if len(self._pending) < MAX_PENDING_KEYS or key_id in self._pending:
            self._pending[key_id] = self._now()

    def start(self) -> None:
        """Start writing in the background."""
        self._stopping.clear()
        self._task = self._supervisor.keep("accounts.last_used", self._write_regularly, self._stopping)

    async def stop(self) -> None:
        """Write pending uses, then stop. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        try:
            await asyncio.wait_for(task, STOP_TIMEOUT_SECONDS)
        except TimeoutError:
            _log.warning("last use of keys not written at stop")

    async def flush(self) -> None:
        """Write pending uses. If the database is unavailable they stay pending, and no exception is raised."""
        batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            with self._supervisor.tracing.work("accounts.last_used"):
                await self._store.touch_keys(batch)
        except BaseException as error:
            newest = batch | self._pending
            self._pending = dict(islice(newest.items(), MAX_PENDING_KEYS))
            if not isinstance(error, AccountsUnavailable):
                raise
            _log.warning("last use of keys not written yet", keys=len(batch), error=type(error).__name__)

    async def _write_regularly(self) -> None:
        while not await self._stops_within_interval():
            await self.flush()
        await self.flush()

    async def _stops_within_interval(self) -> bool:
        try:
            return await asyncio.wait_for(self._stopping.wait(), self._interval)
        except TimeoutError:
            return False
