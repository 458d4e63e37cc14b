"""Caches bounded by octets: what was asked for longest ago makes room."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Generic, TypeVar

from relate_mailstore.types import AccountId, MessageId

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

    It is kept by account and message: a message that one account may read does not become readable to another by being
    here. Many are looked up at once, without a step of Python for each.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._values: OrderedDict[tuple[AccountId, MessageId], V] = OrderedDict()
        self.octets = 0  # of all values
        self.removals = 0  # of messages, so far: see `keep`

    def __len__(self) -> int:
        return len(self._values)

    def find(self, account_id: AccountId, message_ids: Iterable[MessageId]) -> list[V | None]:
        """A value for each of the messages, None where none is kept."""
        keys = [*zip(repeat(account_id), message_ids, strict=False)]
        found = [*map(self._values.get, keys)]
        touched = keys if all(found) else [key for key in keys if key in self._values]
        deque(map(self._values.move_to_end, touched), maxlen=0)
        return found

    def keep(self, account_id: AccountId, values: Mapping[MessageId, V], removals: int) -> None:
        """Keep values of messages that were asked for when there were so many `removals`.

        If there are more by now they are not kept: one may be of a message that is gone since.
        """
        if removals != self.removals:
            return
        for message_id, value in values.items():
            key = account_id, message_id
            if key in self._values:
                self._drop(key)
            self._values[key] = value
            self.octets += self._weigh(value)
        while self.octets > self._limit:
            _, oldest = self._values.popitem(last=False)
            self.octets -= self._weigh(oldest)

    def forget(self, account_id: AccountId, message_ids: Iterable[MessageId]) -> None:
        """These are gone from this account."""
        for message_id in message_ids:
            self.removals += 1
            if (account_id, message_id) in self._values:
                self._drop((account_id, message_id))

    def _drop(self, key: tuple[AccountId, MessageId]) -> None:
        self.octets -= self._weigh(self._values.pop(key))
