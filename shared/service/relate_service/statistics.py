"""Numbers of the database, as metrics export them: of the queue, and of webhooks.

Metrics are exported by a thread, which must not wait for the database, and the loop must not wait for it either. So an
export takes the numbers of the last read, and asks the loop for the next. Without exports nothing is read.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from relate_mailstore.errors import StoreError
from relate_supervisor import Supervisor, TaskName

T = TypeVar("T")

PAUSE_SECONDS = 5.0
"""The shortest pause between two reads, however many exporters there are."""
READ_SHARE = 0.05
"""Of the time, at most, is spent reading: a read counts the whole queue, of a million recipients in seconds."""
READ_SECONDS = 60.0
"""The time for one read."""


class ExportedStatistics(Generic[T]):
    """The newest numbers. It is made in the loop that reads them; `clock` returns monotonic seconds."""

    def __init__(
        self,
        name: TaskName,
        read: Callable[[], Awaitable[T]],
        supervisor: Supervisor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name: TaskName = name
        self._read_all = read
        self._supervisor = supervisor
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._newest: T | None = None
        self._due = 0.0  # when the next read may begin
        self._reading: asyncio.Task[None] | None = None
        self._is_closed = False

    def take(self) -> T | None:
        """Return the numbers of the last read, and ask for the next; from any thread, without waiting.

        None before the first read, while the store is unavailable, and after the end.
        """
        if not self._is_closed:
            self._loop.call_soon_threadsafe(self._start)
        return self._newest

    async def close(self) -> None:
        """End the read that runs. Nothing is exported any more."""
        self._is_closed, self._newest = True, None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _start(self) -> None:
        is_running = self._reading is not None and not self._reading.done()
        if self._is_closed or is_running or self._clock() < self._due:
            return
        self._reading = asyncio.create_task(self._read(), name=self._name)
        self._supervisor.watch(self._name, self._reading)

    async def _read(self) -> None:
        newest, began = None, self._clock()
        try:
            async with asyncio.timeout(READ_SECONDS):
                with self._supervisor.tracing.poll():
                    newest = await self._read_all()
        except (StoreError, TimeoutError):
            return  # what the store's own metrics and logs tell
        finally:
            self._newest, now = newest, self._clock()
            self._due = now + max(PAUSE_SECONDS, (now - began) / READ_SHARE)
