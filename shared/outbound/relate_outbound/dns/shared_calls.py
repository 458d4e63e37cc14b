"""Coalesces calls: those for the same key that are pending at the same time share one task."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedCalls(Generic[K, V]):
    """The pending calls by key. A call has its own time limit, because it outlives a caller that is cancelled."""

    def __init__(self) -> None:
        self._pending: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The result of the pending call for this key, else of a new one. Raises what the call raises."""
        task = self._pending.get(key)
        if task is None:
            task = asyncio.create_task(call())
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key))
        # The call is shared, so that one cancelled caller must not cancel it for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel the pending calls and wait until they have ended."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
