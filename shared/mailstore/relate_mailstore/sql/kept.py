"""A cache bounded by octets: what was asked for longest ago makes room."""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key, each with its weight in octets, of at most `limit` octets together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value, if it is kept."""
        kept = self._values.get(key)
        if kept is None:
            return None
        self._values.move_to_end(key)
        return kept[0]

    def keep(self, key: K, value: V, octets: int) -> None:
        """Keep a value."""
        self.forget(key)
        self._values[key] = value, octets
        self._octets += octets
        while self._octets > self._limit:
            _, (_, weight) = self._values.popitem(last=False)
            self._octets -= weight

    def forget(self, key: K) -> None:
        """Keep this one no longer."""
        if kept := self._values.pop(key, None):
            self._octets -= kept[1]
