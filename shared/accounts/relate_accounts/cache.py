"""An LRU cache whose entries expire, and coalescing of concurrent lookups. No I/O."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Sized
from typing import Any, Generic, TypeVar

from relate_accounts.clock import Monotonic

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
C = TypeVar("C", bound=Sized)


class CacheGroup:
    """The statistics of caches that share one limit.

    The owner of the caches counts `hits` and `misses`, because a lookup may try several caches.
    """

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self.hits = 0
        self.misses = 0
        self._caches: list[tuple[Sized, int]] = []

    def add(self, cache: C, entry_octets: int) -> C:
        """Add a cache whose entries take about `entry_octets` each."""
        self._caches.append((cache, entry_octets))
        return cache

    @property
    def octets(self) -> int:
        """The estimated memory of all entries."""
        return sum(len(cache) * entry_octets for cache, entry_octets in self._caches)


class TimedCache(Generic[K, V]):
    """Caches up to `size` values for `seconds` each; evicts the least recently used one."""

    def __init__(self, seconds: float, size: int, clock: Monotonic) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """Return the value, None if it is missing or expired."""
        entry = self._held.get(key)
        if entry is None:
            return None
        expires, value = entry
        if self._clock() >= expires:
            del self._held[key]
            return None
        self._held.move_to_end(key)
        return value

    def put(self, key: K, value: V, asked: float) -> None:
        """Cache a value. Its age counts from `asked`, the start of the query, because it may be stale on arrival."""
        self._held[key] = (asked + self._seconds, value)
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def evict(self, where: Callable[[V], bool]) -> None:
        """Evict the values for which `where` is true."""
        for key in [key for key, (_, value) in self._held.items() if where(value)]:
            del self._held[key]


class SharedLookups(Generic[K, V]):
    """Coalesces concurrent lookups of the same key, so that a cold cache causes no thundering herd on the database."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[V]] = {}

    def is_running(self, key: K) -> bool:
        """Whether a lookup of this key is running."""
        return key in self._running

    async def share(self, key: K, look_up: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result of `look_up`, or of the running lookup of this key; all waiters get its exception."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(look_up())
            task.add_done_callback(lambda done: self._finished(key, done))
        # Shielded, because the cancellation of one waiter must not cancel the lookup of the others.
        return await asyncio.shield(task)

    def _finished(self, key: K, task: asyncio.Task[V]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # marks it as retrieved, because all waiters may have been cancelled
