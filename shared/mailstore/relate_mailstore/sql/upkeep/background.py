"""What a process does when there is nothing better to do: it makes texts to search, and trims tombstones.

Mail comes first, in whichever process or container it is served. Between two batches it listens, like a polite speaker:
where a CPU stood idle meanwhile and no mail came or changed it goes on, else it keeps to a share of the time, a small
one, as each process has one. The share grows while work is left undone, so that nothing is put off for ever.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from relate_mailstore.errors import StoreError
from relate_mailstore.sql.upkeep.cpu_idle import Activity
from relate_supervisor import Supervisor

QUIET_SECONDS = 2.0  # from a delivery to its text: what comes meanwhile shares the batch
QUIET_BATCH, BUSY_BATCH = 50, 10  # messages: a transaction of some 80 ms, of 20 ms
LISTEN_SECONDS = 0.05  # after a batch: the kernel counts idle time in hundredths
REST_SECONDS = 10.0  # at most, after a batch that took long
BUSY_SHARE = 0.01  # of the time, at first
MOST_SHARE = 0.1  # after so long:
OVERDUE_SECONDS = 600.0
LOOK_SECONDS = 30.0  # what other processes left undone is looked for
FIRST_TRIM_SECONDS = 600.0  # after the start: it reads all tombstones
TRIM_SECONDS = 24 * 3600.0
CLOSE_SECONDS = 5.0  # for the batch under way

_log = structlog.get_logger(__name__)


class Upkeep:
    """A task. `make_some` does a batch of so many at most and says how many it did; `trim` is done once a day.

    `notices`: how often mail came or changed, as far as is heard. On SQLite that is in this process only, as a commit
    of another's may be of texts that it makes; what else others do, their CPU tells.

    An unexpected exception ends the batch, not the task: its messages stay claimed, so the next batch has others.
    """

    def __init__(
        self,
        make_some: Callable[[int], Awaitable[int]],
        trim: Callable[[], Awaitable[int]],
        notices: Callable[[], int],
        supervisor: Supervisor,
    ) -> None:
        self._make_some = make_some
        self._trim = trim
        self._notices = notices
        self._supervisor = supervisor
        self._trim_at = 0.0
        self._failing = False
        self._behind_since = 0.0  # when there was last nothing to do
        self._work = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._trim_at = time.monotonic() + FIRST_TRIM_SECONDS
        self._task = self._supervisor.keep("mailstore.upkeep", self._run, self._closing)

    def delivered(self) -> None:
        """Messages came, and want texts."""
        self._work.set()

    async def close(self) -> None:
        """End after the batch under way."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._catch_up()
            await self._wait_for(LOOK_SECONDS, self._work, self._closing)

    async def _catch_up(self) -> None:
        """Batch after batch, until there is nothing left to do."""
        self._behind_since = time.monotonic()
        quiet = await self._listen(QUIET_SECONDS)
        while not self._closing.is_set():
            self._work.clear()  # before the batch: what comes during it may not be in it
            began = time.monotonic()
            if not await self._do_batch(QUIET_BATCH if quiet else BUSY_BATCH):
                break
            quiet = await self._listen(LISTEN_SECONDS if quiet else self._rest(time.monotonic() - began))

    async def _listen(self, seconds: float) -> bool:
        """Do nothing for so long; whether others did nothing, either."""
        before, notices = Activity.now(), self._notices()
        await self._wait_for(seconds, self._closing)
        return notices == self._notices() and before.is_quiet_until(Activity.now())

    def _rest(self, seconds: float) -> float:
        """How long to do nothing after a batch that took so many seconds, while others are busy."""
        overdue = min(1.0, (time.monotonic() - self._behind_since) / OVERDUE_SECONDS)
        share = BUSY_SHARE + (MOST_SHARE - BUSY_SHARE) * overdue
        return min(REST_SECONDS, max(LISTEN_SECONDS, seconds * (1 / share - 1)))

    async def _wait_for(self, seconds: float, *events: asyncio.Event) -> None:
        """Until one of these happens, or so long."""
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _do_batch(self, messages: int) -> bool:
        try:
            if time.monotonic() > self._trim_at:
                self._trim_at = time.monotonic() + TRIM_SECONDS
                await self._trim()
            made = await self._make_some(messages)
        except StoreError as error:
            if not self._failing:  # it is tried again with each delivery: a full disk would fill the log, too
                _log.warning("upkeep.failed", error=str(error))
            self._failing = True
            return False
        self._failing = False
        return made > 0
