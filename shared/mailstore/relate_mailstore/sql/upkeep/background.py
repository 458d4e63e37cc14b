"""Background maintenance: makes search texts, trims tombstones and events, without delaying mail.

Between two batches it measures for 50 ms: if a CPU was idle and no mail changed it continues; otherwise it throttles
itself to 1 % of the time, because every process runs this task. The share grows to 10 % once work has been pending
for ten minutes, so that no work is put off indefinitely.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from relate_mailstore.errors import StoreError
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.upkeep.cpu_idle import CpuSample
from relate_supervisor import Supervisor

SETTLE_SECONDS = 2.0  # from a delivery to its text: further deliveries share the batch
IDLE_BATCH_MESSAGES, BUSY_BATCH_MESSAGES = 50, 10  # a transaction of about 80 ms, of 20 ms
MEASURE_SECONDS = 0.05  # after a batch: the kernel counts idle time in hundredths of a second
MAX_PAUSE_SECONDS = 10.0  # after a batch that took long
MIN_BUSY_RATIO, MAX_BUSY_RATIO = 0.01, 0.1  # of the time, while the machine is busy: at first, and when overdue
OVERDUE_SECONDS = 600.0
POLL_SECONDS = 30.0  # how often work that other processes left is looked for
FIRST_TRIM_SECONDS = 600.0  # after the start, because trimming reads all tombstones
TRIM_SECONDS = 24 * 3600.0
CLOSE_SECONDS = 5.0  # for the running batch to end

_log = structlog.get_logger(__name__)


class Upkeep:
    """The maintenance task.

    `make_texts` makes the search texts of at most this many messages and returns how many it made; `daily` work runs
    once a day, each in a span of its name. `notice_count` tells how often mail changed as far as this process was
    notified. On SQLite that is in this process only, because a commit of another may be one of its search texts; other
    processes' work shows in the CPU.

    An unexpected exception ends the batch, not the task: its messages stay claimed, so the next batch has others.
    """

    def __init__(
        self,
        make_texts: Callable[[int], Awaitable[int]],
        daily: Mapping[str, Callable[[], Awaitable[int]]],
        notice_count: Callable[[], int],
        supervisor: Supervisor,
    ) -> None:
        self._make_texts = make_texts
        self._daily = daily
        self._notice_count = notice_count
        self._supervisor = supervisor
        self._trim_at = 0.0
        self._failing = False
        self._pending_since = 0.0
        self._work = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._trim_at = time.monotonic() + FIRST_TRIM_SECONDS
        self._task = self._supervisor.keep("mailstore.upkeep", self._run, self._closing)

    def on_commit(self, committed: Committed[Any]) -> None:
        """Wake the task up if messages arrived, because they need search texts."""
        if any(delta.arrived for delta in committed.deltas):
            self._work.set()

    async def close(self) -> None:
        """Stop after the running batch."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._run_batches()
            await self._wait(POLL_SECONDS, self._work, self._closing)

    async def _run_batches(self) -> None:
        """Run batches until no work is left."""
        self._pending_since = time.monotonic()
        idle = await self._measure(SETTLE_SECONDS)
        expected = False  # whether this process knows of work; otherwise the batch is a poll
        while not self._closing.is_set():
            expected = expected or self._work.is_set()
            self._work.clear()  # before the batch, which may not include what arrives during it
            started = time.monotonic()
            if not await self._run_batch(IDLE_BATCH_MESSAGES if idle else BUSY_BATCH_MESSAGES, expected):
                break
            expected = True
            idle = await self._measure(MEASURE_SECONDS if idle else self._pause(time.monotonic() - started))

    async def _measure(self, seconds: float) -> bool:
        """Do nothing for this time. Returns whether the machine was idle and no mail changed meanwhile."""
        before, notice_count = CpuSample.now(), self._notice_count()
        await self._wait(seconds, self._closing)
        return notice_count == self._notice_count() and before.is_idle_until(CpuSample.now())

    def _pause(self, seconds: float) -> float:
        """The pause after a batch that took `seconds`, while the machine is busy."""
        overdue = min(1.0, (time.monotonic() - self._pending_since) / OVERDUE_SECONDS)
        ratio = MIN_BUSY_RATIO + (MAX_BUSY_RATIO - MIN_BUSY_RATIO) * overdue
        return min(MAX_PAUSE_SECONDS, max(MEASURE_SECONDS, seconds * (1 / ratio - 1)))

    async def _wait(self, seconds: float, *events: asyncio.Event) -> None:
        """Wait until one of the events is set, for at most this time."""
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _run_batch(self, messages: int, expected: bool) -> bool:
        """Whether there was work, and may be more."""
        tracing = self._supervisor.tracing
        try:
            if time.monotonic() > self._trim_at:
                self._trim_at = time.monotonic() + TRIM_SECONDS
                for name, work in self._daily.items():
                    with tracing.work(name):
                        await work()
            with tracing.work("mailstore.upkeep.texts") if expected else tracing.poll():
                made = await self._make_texts(messages)
        except StoreError as error:
            if not self._failing:  # logged once: each delivery causes a retry, which would fill the log on a full disk
                _log.warning("upkeep.failed", error=str(error))
            self._failing = True
            return False
        self._failing = False
        return made > 0
