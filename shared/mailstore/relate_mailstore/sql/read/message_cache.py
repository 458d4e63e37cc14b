"""A cache of values that are derived from messages and never change. An entry is valid while its message exists."""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Generic, TypeVar

from relate_mailstore.sql.cache.lru import LruCache
from relate_mailstore.sql.read.generations import Generation
from relate_mailstore.types import MessageId

V = TypeVar("V")


class MessageCache(Generic[V]):
    """Values by generation and message.

    A generation belongs to one account. So a message that is cached for one account is not readable by another.
    """

    def __init__(self, cache: LruCache[tuple[Generation, MessageId], V]) -> None:
        self._cache = cache

    def find(self, generation: Generation, message_ids: Iterable[MessageId]) -> list[V | None]:
        """The value of each message, None where it is not cached."""
        return self._cache.get_many([*zip(repeat(generation), message_ids, strict=False)])

    def peek(self, generation: Generation, message_ids: Iterable[MessageId]) -> list[V | None]:
        """The same as `find`, neither counted nor marked as used."""
        return [*map(self._cache.peek, zip(repeat(generation), message_ids, strict=False))]

    def put(self, generation: Generation, values: Mapping[MessageId, V], removals: int) -> None:
        """Cache values that were read while the generation's removal counter was `removals`.

        If it has moved since, drop them: one of the messages may have been deleted during the read.
        """
        if removals == generation.removals:
            for message_id, value in values.items():
                self._cache.put((generation, message_id), value)

    def evict(self, generation: Generation, message_ids: Iterable[MessageId]) -> None:
        """Remove the values of these messages. The caller has counted the removal in the generation."""
        for message_id in message_ids:
            self._cache.pop((generation, message_id))
