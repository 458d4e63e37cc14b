"""Wakes tasks that wait for a change without a content. Changes coalesce until the task waits again; none is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager


class Wake:
    """What one task waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the wait, or the next one."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until there was a change since the last wait."""
        await self._event.wait()
        self._event.clear()

    async def wait_for(self, seconds: float) -> bool:
        """`wait` for at most this time; whether there was a change."""
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
