"""Wakes tasks that wait for a change without a content. Changes coalesce until the task waits again; none is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager


class Wake:
    """What one task waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the wait, or the next one."""
        self._event.set()

    def reset(self) -> None:
        """Forget the changes since the last wait."""
        self._event.clear()

    async def wait(self) -> None:
        """Wait until there was a change since the last wait."""
        await self._event.wait()
        self._event.clear()

    async def wait_for(self, seconds: float | None) -> bool:
        """`wait` for at most this time, if it is limited; whether there was a change."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return False
        return True

    async def changes(self) -> AsyncIterator[None]:
        """Iterate over the changes."""
        while True:
            await self.wait()
            yield


class Wakes:
    """All tasks that wait for the same changes."""

    def __init__(self) -> None:
        self._waiting: set[Wake] = set()

    @contextmanager
    def subscribe(self) -> Iterator[Wake]:
        """Receive the changes within the `with` block."""
        wake = Wake()
        self._waiting.add(wake)
        try:
            yield wake
        finally:
            self._waiting.remove(wake)

    def wake(self) -> None:
        """Tell all tasks of a change."""
        for wake in self._waiting:
            wake.set()


class Alarm:
    """Tells a task that works off what is due when to look again: at a change of what is due, or when the next is due.

    `changes` are those of every process; `clock` returns seconds since the epoch.
    """

    def __init__(
        self, changes: Callable[[], AbstractAsyncContextManager[AsyncIterator[None]]], clock: Callable[[], float]
    ) -> None:
        self._changes = changes
        self._clock = clock
        self._wake = Wake()

    async def watch(self) -> None:
        """Ring at each change, until cancelled; the owner keeps this as a task."""
        async with self._changes() as changes:
            self.ring()  # what was due before the subscription was not told
            async for _ in changes:
                self.ring()

    def ring(self) -> None:
        """End the wait, or the next one."""
        self._wake.set()

    def reset(self) -> None:
        """Forget that it rang: the caller looks now."""
        self._wake.reset()

    async def wait_until(self, due: float | None) -> None:
        """Wait until it rings, or until `due`, in seconds since the epoch, if that is known."""
        await self._wake.wait_for(None if due is None else max(0.0, due - self._clock()))
