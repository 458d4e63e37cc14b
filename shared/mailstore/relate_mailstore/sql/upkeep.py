"""What a process does when there is nothing better to do: it makes texts to search, and trims tombstones.

Deliveries come first: while they come, it takes its turn only now and then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from relate_mailstore.errors import StoreError

QUIET_SECONDS = 2.0  # without a delivery: then there is nothing better to do
BUSY_SECONDS = 5.0  # between two batches while deliveries come
LOOK_SECONDS = 30.0  # what other processes left undone is looked for
FIRST_TRIM_SECONDS = 600.0  # after the start: it reads all tombstones
TRIM_SECONDS = 24 * 3600.0
CLOSE_SECONDS = 5.0  # for the batch under way

_log = structlog.get_logger(__name__)


class Upkeep:
    """A task. `make_some` does a batch and says how many it did; `trim` is done once a day."""

    def __init__(self, make_some: Callable[[], Awaitable[int]], trim: Callable[[], Awaitable[int]]) -> None:
        self._make_some = make_some
        self._trim = trim
        self._delivered = 0.0  # when, last
        self._trim_at = 0.0
        self._work = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._delivered = time.monotonic()
        self._trim_at = self._delivered + FIRST_TRIM_SECONDS
        self._task = asyncio.create_task(self._run(), name="mailstore-upkeep")

    def delivered(self) -> None:
        """Messages came, and want texts."""
        self._delivered = time.monotonic()
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
            await self._wait_for_quiet()
            self._work.clear()  # before the batch: what comes during it may not be in it
            if not self._closing.is_set() and not await self._do_batch():
                await self._wait_for(LOOK_SECONDS, self._work, self._closing)

    async def _wait_for_quiet(self) -> None:
        until = time.monotonic() + BUSY_SECONDS
        while not self._closing.is_set():
            seconds = min(until, self._delivered + QUIET_SECONDS) - time.monotonic()
            if seconds <= 0:
                break
            await self._wait_for(seconds, self._closing)

    async def _wait_for(self, seconds: float, *events: asyncio.Event) -> None:
        """Until one of these happens, or so long."""
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _do_batch(self) -> bool:
        try:
            if time.monotonic() > self._trim_at:
                self._trim_at = time.monotonic() + TRIM_SECONDS
                await self._trim()
            return await self._make_some() > 0
        except StoreError as error:
            _log.warning("upkeep.failed", error=str(error))
            return False
