"""A least-recently-used cache whose entries expire."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    expires: float


class TtlCache(Generic[K, V]):
    """At most `max_entries` values, each until its time to live ends. `clock` returns seconds, and never goes back."""

    def __init__(self, max_entries: int, clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> tuple[V, float] | None:
        """The value of a key, and the seconds for which it is still valid; None if it is absent or has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        left_seconds = entry.expires - self._clock()
        if left_seconds <= 0:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry.value, left_seconds

    def put(self, key: K, value: V, ttl_seconds: float) -> None:
        """Store a value; evicts the least recently used one if the cache is full."""
        self._entries[key] = _Entry(value, self._clock() + ttl_seconds)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
