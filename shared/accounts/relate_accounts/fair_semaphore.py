"""A semaphore that is fair to clients, because each client waits in its own queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Queue:
    semaphore: asyncio.Semaphore
    users: int = 0  # holders and waiters


class FairSemaphore:
    """Allows `total` concurrent holders, of them `per_client` of one client, first in, first out.

    A client with thousands of waiters delays only itself: other clients wait for at most `per_client` of them.
    """

    def __init__(self, total: int, per_client: int) -> None:
        self._per_client = per_client
        self._total = asyncio.Semaphore(total)
        self._queues: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """The number of clients with holders or waiters."""
        return len(self._queues)

    @asynccontextmanager
    async def acquire(self, client: str) -> AsyncIterator[None]:
        """Hold the semaphore within the block."""
        queue = self._queues.setdefault(client, _Queue(asyncio.Semaphore(self._per_client)))
        queue.users += 1
        try:
            async with queue.semaphore, self._total:
                yield
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[client]
