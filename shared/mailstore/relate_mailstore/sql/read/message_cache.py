"""What FETCH asks of messages again and again: how they are rendered, where their parts lie, their headers.

None of it ever changes, so what is cached is right for as long as the message is there: see `generations`.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, LargeBinary, Row, and_, bindparam, func, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.read.blobs import Blobs
from relate_mailstore.sql.read.generations import Generation, Generations
from relate_mailstore.sql.read.lru import KeptOfMessages
from relate_mailstore.sql.schema.rows import parse_index
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId, MessageIndex, Rendering

RENDERINGS_OCTETS = 64 * 1024 * 1024  # a process keeps: some 40,000 messages, the pages that its sessions look at
INDEXES_OCTETS = 16 * 1024 * 1024  # the messages that are being read
HEADERS_OCTETS = 16 * 1024 * 1024
OVERHEAD_OCTETS = 500  # of what is kept beside its own octets
PART_WEIGHT = 300  # octets of a part of an index
MESSAGES_A_QUERY = 500  # so that others have their turn between, and no answer is huge

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


class Contents:
    """Answers from what is kept, and reads the rest, many messages by one query."""

    def __init__(self, database: Database, generations: Generations, raw: Blobs) -> None:
        self._database = database
        self._generations = generations
        self._raw = raw
        self._renderings: KeptOfMessages[Rendering] = KeptOfMessages(RENDERINGS_OCTETS, _weigh_rendering)
        self._indexes: KeptOfMessages[MessageIndex] = KeptOfMessages(INDEXES_OCTETS, _weigh_index)
        self._headers: KeptOfMessages[bytes] = KeptOfMessages(HEADERS_OCTETS, _weigh_header)

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """How messages are rendered."""
        return await self._look_up(self._renderings, _RENDERINGS, _parse_rendering, account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """Where the parts of messages lie."""
        return await self._look_up(self._indexes, _INDEXES, parse_index, account_id, message_ids)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """Raw headers."""
        found = await self._look_up(self._headers, _HEADERS, _parse_header, account_id, message_ids)
        if None not in found:
            return found
        return [
            await self._read_header(account_id, message_id) if header is None else header
            for message_id, header in zip(message_ids, found, strict=True)
        ]

    def forget(self, generation: Generation, message_ids: Collection[MessageId]) -> None:
        """These are gone from the generation's account."""
        for kept in (self._renderings, self._indexes, self._headers):
            kept.forget(generation, message_ids)

    async def _look_up(
        self,
        kept: KeptOfMessages[T],
        statement: Executable,
        parse: Callable[[Row[Any]], T],
        account_id: AccountId,
        message_ids: Sequence[MessageId],
    ) -> list[T | None]:
        """What is kept of these messages, and what is read of the others, whose id is a row's first column."""
        generation = await self._generations.confirm(account_id)
        found = kept.find(generation, message_ids)
        if all(found):
            return found
        removals = generation.removals
        missing = [message_id for message_id, value in zip(message_ids, found, strict=True) if value is None]
        read: dict[MessageId, T] = {}
        for start in range(0, len(missing), MESSAGES_A_QUERY):
            wanted = missing[start : start + MESSAGES_A_QUERY]
            rows = await self._database.fetch(statement, {"account_id": account_id, "message_ids": wanted})
            read |= {row[0]: parse(row) for row in rows}
        kept.keep(generation, read, removals)
        return [
            read.get(message_id) if value is None else value
            for message_id, value in zip(message_ids, found, strict=True)
        ]

    async def _read_header(self, account_id: AccountId, message_id: MessageId) -> bytes | None:
        """The header of a message that is gone, or of one so long that it goes on in the next part."""
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
    texts = 2 * (len(rendering.preview) + len(rendering.thread))
    return len(rendering.envelope) + len(rendering.bodystructure) + texts + OVERHEAD_OCTETS


def _weigh_index(index: MessageIndex) -> int:
    return len(index.envelope) + len(index.bodystructure) + PART_WEIGHT * len(index.parts) + OVERHEAD_OCTETS


def _weigh_header(header: bytes) -> int:
    return len(header) + OVERHEAD_OCTETS
