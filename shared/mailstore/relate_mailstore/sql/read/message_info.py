"""Caches of what FETCH needs of a message beside its flags and body: rendering, places of the parts, header.

None of it ever changes, so an entry is valid while its message exists: see `generations`.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, LargeBinary, Row, and_, bindparam, func, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.read.blobs import Blobs
from relate_mailstore.sql.read.generations import Generation, Generations
from relate_mailstore.sql.read.message_cache import MessageCache
from relate_mailstore.sql.schema.rows import parse_index
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId, Rendering
from relate_mime import MessageIndex

MESSAGES_PER_QUERY = 500  # other commands run between two queries, and no result is huge

# Measured with tracemalloc: key, slot, objects and strings of usual length.
RENDERING_OCTETS = 650
INDEX_OCTETS = 1_500
PART_INDEX_OCTETS = 400
ADDRESS_OCTETS = 250
REFERENCE_OCTETS = 100
HEADER_OCTETS = 330

_OF_ACCOUNT = messages.c.account_id == bindparam("account_id")
_RENDERINGS = select(
    messages.c.id,
    messages.c.envelope,
    messages.c.bodystructure,
    messages.c.preview,
    messages.c.thread,
    messages.c.origin,
).where(_OF_ACCOUNT, one_of(messages.c.id, ids("message_ids")))
_INDEXES = select(messages).where(_OF_ACCOUNT, one_of(messages.c.id, ids("message_ids")))
_HEADERS = (
    select(messages.c.id, func.substr(blobs.c.octets, 1, messages.c.header_octets, type_=LargeBinary))
    .join(blobs, and_(blobs.c.id == messages.c.id, blobs.c.part == 0))
    .where(_OF_ACCOUNT, one_of(messages.c.id, ids("message_ids")), messages.c.header_octets <= PART_OCTETS)
)

T = TypeVar("T")


class MessageInfoCache:
    """Returns cached values, and reads the missing ones, many messages per query."""

    def __init__(self, database: Database, generations: Generations, raw: Blobs, caches: Caches) -> None:
        self._database = database
        self._generations = generations
        self._raw = raw
        self._renderings = MessageCache[Rendering](caches.add("renderings", _weigh_rendering))
        self._indexes = MessageCache[MessageIndex](caches.add("indexes", _weigh_index))
        self._headers = MessageCache[bytes](caches.add("headers", _weigh_header))

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """The renderings of messages, None for one that does not exist."""
        return await self._look_up(self._renderings, _RENDERINGS, _parse_rendering, account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The indexes of messages, None for one that does not exist."""
        return await self._look_up(self._indexes, _INDEXES, parse_index, account_id, message_ids)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw headers of messages, None for one that does not exist."""
        found = await self._look_up(self._headers, _HEADERS, _parse_header, account_id, message_ids)
        if None not in found:
            return found
        return [
            await self._read_header(account_id, message_id) if header is None else header
            for message_id, header in zip(message_ids, found, strict=True)
        ]

    def evict(self, generation: Generation, message_ids: Collection[MessageId]) -> None:
        """Remove what is cached of messages that were removed from the generation's account."""
        for cache in (self._renderings, self._indexes, self._headers):
            cache.evict(generation, message_ids)

    async def _look_up(
        self,
        cache: MessageCache[T],
        statement: Executable,
        parse: Callable[[Row[Any]], T],
        account_id: AccountId,
        message_ids: Sequence[MessageId],
    ) -> list[T | None]:
        """The values of these messages. The first column of the statement is the message's id."""
        generation = await self._generations.confirm(account_id)
        found = cache.find(generation, message_ids)
        if all(found):
            return found
        removals = generation.removals
        missing = [message_id for message_id, value in zip(message_ids, found, strict=True) if value is None]
        read: dict[MessageId, T] = {}
        for start in range(0, len(missing), MESSAGES_PER_QUERY):
            batch = missing[start : start + MESSAGES_PER_QUERY]
            rows = await self._database.fetch(statement, {"account_id": account_id, "message_ids": batch})
            read |= {row[0]: parse(row) for row in rows}
        cache.put(generation, read, removals)
        return [
            read.get(message_id) if value is None else value
            for message_id, value in zip(message_ids, found, strict=True)
        ]

    async def _read_header(self, account_id: AccountId, message_id: MessageId) -> bytes | None:
        """A header that continues in the message's second part; None for a message that does not exist."""
        (raw,), (index,) = (
            await self._raw.open_all(account_id, [message_id]),
            await self.indexes(account_id, [message_id]),
        )
        try:
            return await raw.read(0, index.parts[0].body) if raw and index else None
        except MessageNotFound:
            return None


def _parse_rendering(row: Row[Any]) -> Rendering:
    return Rendering(*row[1:])


def _parse_header(row: Row[Any]) -> bytes:
    header: bytes = row[1] or b""
    return header


def _weigh_rendering(rendering: Rendering) -> int:
    return len(rendering.envelope) + len(rendering.bodystructure) + 2 * len(rendering.preview) + RENDERING_OCTETS


def _weigh_index(index: MessageIndex) -> int:
    addresses = len(index.senders) + len(index.to) + len(index.cc) + len(index.bcc)
    return (
        len(index.envelope)
        + len(index.bodystructure)
        + 2 * (len(index.subject) + len(index.preview))
        + PART_INDEX_OCTETS * len(index.parts)
        + ADDRESS_OCTETS * addresses
        + REFERENCE_OCTETS * len(index.references)
        + INDEX_OCTETS
    )


def _weigh_header(header: bytes) -> int:
    return len(header) + HEADER_OCTETS
