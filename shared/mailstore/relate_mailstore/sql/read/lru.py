"""Caches bounded by octets: what was asked for longest ago makes room."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Generic, TypeVar

from relate_mailstore.sql.read.generations import Generation
from relate_mailstore.types import MessageId

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


class KeptOfMessages(Generic[V]):
    """What never changes of messages, of at most `limit` octets together; `weigh` says how many a value takes.

    It is cached by message and generation, so by account, too: a message that one account may read does not become
    readable to another by being here. Many are looked up at once, without a step of Python for each.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._values: OrderedDict[tuple[Generation, MessageId], V] = OrderedDict()
        self.octets = 0  # of all values

    def __len__(self) -> int:
        return len(self._values)

    def find(self, generation: Generation, message_ids: Iterable[MessageId]) -> list[V | None]:
        """A value for each of the messages, None where none is kept."""
        keys = [*zip(repeat(generation), message_ids, strict=False)]
        found = [*map(self._values.get, keys)]
        touched = keys if all(found) else [key for key in keys if key in self._values]
        deque(map(self._values.move_to_end, touched), maxlen=0)
        return found

    def keep(self, generation: Generation, values: Mapping[MessageId, V], removals: int) -> None:
        """Keep values of messages that were asked for when the generation had seen so many `removals`.

        If it has seen more by now they are not kept: one may be of a message that is gone since.
        """
        if removals != generation.removals:
            return
        for message_id, value in values.items():
            key = generation, message_id
            if key in self._values:
                self._drop(key)
            self._values[key] = value
            self.octets += self._weigh(value)
        while self.octets > self._limit:
            _, oldest = self._values.popitem(last=False)
            self.octets -= self._weigh(oldest)

    def forget(self, generation: Generation, message_ids: Iterable[MessageId]) -> None:
        """These are gone from the generation's account, which has counted that as a removal."""
        for message_id in message_ids:
            if (generation, message_id) in self._values:
                self._drop((generation, message_id))

    def _drop(self, key: tuple[Generation, MessageId]) -> None:
        self.octets -= self._weigh(self._values.pop(key))
