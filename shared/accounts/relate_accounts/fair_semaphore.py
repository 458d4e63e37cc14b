"""Bounded concurrency that is fair to clients: each client's look-ups wait in a queue of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Queue:
    semaphore: asyncio.Semaphore
    users: int = 0  # those that hold a turn or wait for one


class FairSemaphore:
    """At most `total` turns at a time, and at most `each` of one client.

    A client that asks for thousands delays its own ones; the others wait behind `each` of it. First in, first out.
    """

    def __init__(self, total: int, each: int) -> None:
        self._each = each
        self._total = asyncio.Semaphore(total)
        self._queues: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """The clients that have a turn or wait for one."""
        return len(self._queues)

    @asynccontextmanager
    async def acquire(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it inside."""
        queue = self._queues.setdefault(client, _Queue(asyncio.Semaphore(self._each)))
        queue.users += 1
        try:
            async with queue.semaphore, self._total:
                yield
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[client]
