"""A bounded cache that forgets by time, and one lookup for all who ask at the same time. No I/O."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from relate_accounts.clock import Monotonic

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """Keeps up to `size` values for `seconds` each; the least recently used one makes room."""

    def __init__(self, seconds: float, size: int, clock: Monotonic) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or it is too old."""
        held = self._held.get(key)
        if held is None:
            return None
        until, value = held
        if self._clock() >= until:
            del self._held[key]
            return None
        self._held.move_to_end(key)
        return value

    def put(self, key: K, value: V, asked: float) -> None:
        """Keep a value, counting its age from `asked`, when the question was put: it may have been old on arrival."""
        self._held[key] = (asked + self._seconds, value)
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def evict(self, where: Callable[[V], bool]) -> None:
        """Remove the values for which `where` is true."""
        for key in [key for key, (_, value) in self._held.items() if where(value)]:
            del self._held[key]


class SharedLookups(Generic[K, V]):
    """Whoever asks what is being asked already gets that answer: no herd on the database when a cache goes cold."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    async def share(self, key: K, look_up: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The outcome of `look_up` or of the lookup of this key that is under way; an error goes to all who wait."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(look_up())
            task.add_done_callback(lambda done: self._finished(key, done))
        # Shielded: a client that hangs up must not take the answer from the others.
        return await asyncio.shield(task)

    def _finished(self, key: K, task: asyncio.Task[V]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # marks it as seen: everybody who waited may have gone
