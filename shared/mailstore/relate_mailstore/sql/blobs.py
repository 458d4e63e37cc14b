"""Raw messages: opened by a query that brings small ones whole, read in parts otherwise, kept for a while if small.

A raw message never changes, so what is kept is never stale. It is kept by account and message: a message that one
account may read does not become readable to another by being here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice

from sqlalchemy import and_, bindparam, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import RawMessage
from relate_mailstore.sql.database import Database
from relate_mailstore.sql.dialects import ids, one_of
from relate_mailstore.sql.schema import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId

SMALL_OCTETS = 128 * 1024  # what is worth keeping, and reading ahead: nearly all mail without attachments
CACHE_OCTETS = 64 * 1024 * 1024  # a process keeps: some ten thousand messages, for the minutes in which they are read
KEPT_OVERHEAD_OCTETS = 512  # of a kept message beside its own octets
READ_AHEAD_MESSAGES = 64  # at most 8 MB by one query

_FIRST_PART = and_(blobs.c.id == messages.c.id, blobs.c.part == 0)
_OPEN = (
    select(messages.c.size, messages.c.origin, blobs.c.octets)
    .join(blobs, _FIRST_PART)
    .where(messages.c.account_id == bindparam("account_id"), messages.c.id == bindparam("message_id"))
)
_READ_AHEAD = (
    select(messages.c.id, messages.c.origin, blobs.c.octets)
    .join(blobs, _FIRST_PART)
    .where(
        messages.c.account_id == bindparam("account_id"),
        one_of(messages.c.id, ids("message_ids")),
        messages.c.size <= SMALL_OCTETS,
    )
)
_PART = select(blobs.c.octets).where(blobs.c.id == bindparam("message_id"), blobs.c.part == bindparam("part"))

Key = tuple[AccountId, MessageId]


class SmallMessage:
    """`RawMessage` whose octets are at hand."""

    __slots__ = ("octets", "origin")

    def __init__(self, octets: bytes, origin: str | None) -> None:
        self.octets = octets
        self.origin = origin

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.octets)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop), in one piece."""
        if octets := self.octets[start:stop]:
            yield octets

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return self.octets[start:stop]


class LargeMessage:
    """`RawMessage` read part by part, the next one while the caller is busy with this one."""

    def __init__(self, database: Database, message_id: MessageId, size: int, origin: str | None, first: bytes) -> None:
        self.size = size
        self.origin = origin
        self._database = database
        self._message_id = message_id
        self._first = first

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop), at most PART_OCTETS at a time. Raises MessageNotFound, StoreUnavailable."""
        end = self.size if stop is None else min(stop, self.size)
        parts = range(start // PART_OCTETS, -(-end // PART_OCTETS))
        if start >= end:
            return
        ahead = asyncio.ensure_future(self._part(parts[0]))
        try:
            for part in parts:
                octets = await ahead
                if part != parts[-1]:
                    ahead = asyncio.ensure_future(self._part(part + 1))
                offset = part * PART_OCTETS
                yield octets[max(start - offset, 0) : end - offset]
        finally:
            ahead.cancel()  # the caller may have had enough
            await asyncio.gather(ahead, return_exceptions=True)

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return b"".join([chunk async for chunk in self.chunks(start, stop)])

    async def _part(self, part: int) -> bytes:
        if part == 0:
            return self._first
        rows = await self._database.fetch(_PART, {"message_id": self._message_id, "part": part})
        if not rows:
            raise MessageNotFound(f"message {self._message_id} is gone")
        octets: bytes = rows[0].octets
        return octets


class Blobs:
    """Opens raw messages, and keeps the small ones that were read last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[Key, SmallMessage] = OrderedDict()
        self._octets = 0
        self._removals = 0  # so far: what was read before one may be of a message that is gone since, and is not kept

    async def open(self, account_id: AccountId, message_id: MessageId) -> RawMessage:
        """A raw message of this account; no query if it is kept. Raises MessageNotFound."""
        key = account_id, message_id
        if kept := self._kept.get(key):
            self._kept.move_to_end(key)
            return kept
        removals = self._removals
        rows = await self._database.fetch(_OPEN, {"account_id": account_id, "message_id": message_id})
        if not rows:
            raise MessageNotFound(f"message {message_id} of account {account_id}")
        size, origin, octets = rows[0]
        if size > PART_OCTETS:
            return LargeMessage(self._database, message_id, size, origin, octets)
        small = SmallMessage(octets, origin)
        if size <= SMALL_OCTETS and removals == self._removals:
            self._keep(key, small)
        return small

    async def read_ahead(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        """Fetch the small ones of the first of these that are not kept, together."""
        unkept = (message_id for message_id in message_ids if (account_id, message_id) not in self._kept)
        wanted = list(islice(unkept, READ_AHEAD_MESSAGES))
        if wanted:
            removals = self._removals
            rows = await self._database.fetch(_READ_AHEAD, {"account_id": account_id, "message_ids": wanted})
            for message_id, origin, octets in rows if removals == self._removals else ():
                self._keep((account_id, message_id), SmallMessage(octets, origin))

    def forget(self, account_id: AccountId, message_ids: Iterable[MessageId]) -> None:
        """These are gone from this account."""
        for message_id in message_ids:
            self._removals += 1
            self._drop((account_id, message_id))

    def _drop(self, key: Key) -> None:
        if kept := self._kept.pop(key, None):
            self._octets -= _weight(kept)

    def _keep(self, key: Key, message: SmallMessage) -> None:
        self._drop(key)
        self._kept[key] = message
        self._octets += _weight(message)
        while self._octets > CACHE_OCTETS:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= _weight(oldest)


def _weight(message: SmallMessage) -> int:
    return message.size + KEPT_OVERHEAD_OCTETS
