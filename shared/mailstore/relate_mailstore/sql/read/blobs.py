"""Raw messages: small ones fetched whole, many by one statement, and kept for a while; large ones read in parts.

What is to be opened next is prefetched in the background. A raw message never changes, so what is cached is right for
as long as the message is there: see `generations`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial

import structlog
from sqlalchemy import and_, bindparam, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import RawMessage
from relate_mailstore.sql.driver.database import CLOSE_SECONDS, Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.read.generations import Generation, Generations
from relate_mailstore.sql.read.lru import KeptOfMessages
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId
from relate_supervisor import Supervisor

SMALL_OCTETS = 128 * 1024  # what is worth keeping, and fetching ahead: nearly all mail without attachments
CACHE_OCTETS = 64 * 1024 * 1024  # a process keeps: some ten thousand messages, for the minutes in which they are read
KEPT_OVERHEAD_OCTETS = 512  # of a kept message beside its own octets
MESSAGES_A_QUERY = 64  # at most 8 MB
HINTS_UNDER_WAY = 32  # whose messages are being fetched: of more, the database would only have a longer queue

_OPEN = (
    select(messages.c.id, messages.c.size, messages.c.origin, blobs.c.octets)
    .outerjoin(blobs, and_(blobs.c.id == messages.c.id, blobs.c.part == 0, messages.c.size <= SMALL_OCTETS))
    .where(messages.c.account_id == bindparam("account_id"), one_of(messages.c.id, ids("message_ids")))
)
_PART = select(blobs.c.octets).where(blobs.c.id == bindparam("message_id"), blobs.c.part == bindparam("part"))

_log = structlog.get_logger(__name__)

Key = tuple[Generation, MessageId]
Fetched = Mapping[MessageId, RawMessage]


class SmallMessage:
    """`RawMessage` whose octets are at hand."""

    __slots__ = ("buffered", "origin")

    def __init__(self, octets: bytes, origin: str | None) -> None:
        self.buffered = octets
        self.origin = origin

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.buffered)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop), in one piece."""
        if octets := self.buffered[start:stop]:
            yield octets

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return self.buffered[start:stop]


class LargeMessage:
    """`RawMessage` read part by part, the next one while the caller is busy with this one."""

    buffered = None

    def __init__(self, database: Database, message_id: MessageId, size: int, origin: str | None) -> None:
        self.size = size
        self.origin = origin
        self._database = database
        self._message_id = message_id

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
        rows = await self._database.fetch(_PART, {"message_id": self._message_id, "part": part})
        if not rows:
            raise MessageNotFound(f"message {self._message_id} is gone")
        octets: bytes = rows[0].octets
        return octets


class Blobs:
    """Opens raw messages, and keeps the small ones that were read last."""

    def __init__(self, database: Database, generations: Generations, supervisor: Supervisor) -> None:
        self._database = database
        self._generations = generations
        self._supervisor = supervisor
        self._kept: KeptOfMessages[SmallMessage] = KeptOfMessages(CACHE_OCTETS, _weigh)
        self._coming: dict[Key, asyncio.Task[Fetched]] = {}
        self._hints: set[asyncio.Task[Fetched]] = set()

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """A raw message of this account; no query if it is kept. Raises MessageNotFound."""
        (raw,) = await self.open_all(account_id, [message_id], ahead)
        if raw is None:
            raise MessageNotFound(f"message {message_id} of account {account_id}")
        return raw

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Raw messages of this account, those that are not kept by one query; what is `ahead` in the background.

        Where there has to be a query and it has room for them, those ahead come by the same.
        """
        generation = await self._generations.confirm(account_id)
        opened: Sequence[RawMessage | None] = self._kept.find(generation, message_ids)
        if not all(opened):
            missing = [message_id for message_id, raw in zip(message_ids, opened, strict=True) if raw is None]
            fetched = await self._fetch_or_await(generation, missing, ahead)
            opened = [raw or fetched.get(message_id) for message_id, raw in zip(message_ids, opened, strict=True)]
        if ahead:
            self._fetch_ahead(generation, ahead)
        return opened

    def forget(self, generation: Generation, message_ids: Collection[MessageId]) -> None:
        """These are gone from the generation's account: readers do not wait for a prefetch of them, either."""
        self._kept.forget(generation, message_ids)
        for message_id in message_ids:
            self._coming.pop((generation, message_id), None)

    async def close(self) -> None:
        """Wait for what is under way: nobody else does. A database that takes too long is not waited for."""
        if self._hints:
            _, late = await asyncio.wait(self._hints, timeout=CLOSE_SECONDS)
            for hint in late:
                hint.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _fetch_or_await(
        self, generation: Generation, message_ids: Sequence[MessageId], ahead: Sequence[MessageId]
    ) -> Fetched:
        """Those on their way are waited for. Where that fails they are asked for again: it was only a hint."""
        coming = {task for one in message_ids if (task := self._coming.get((generation, one)))}
        fetched: dict[MessageId, RawMessage] = {}
        if coming:
            await asyncio.wait(coming)
            for task in coming:
                if not task.cancelled() and not task.exception():
                    fetched.update(task.result())
        missing = [message_id for message_id in message_ids if message_id not in fetched]
        if 0 < len(missing) < MESSAGES_A_QUERY:
            missing += self._new(generation, ahead)[: MESSAGES_A_QUERY - len(missing)]
        for start in range(0, len(missing), MESSAGES_A_QUERY):
            fetched.update(await self._fetch(generation, missing[start : start + MESSAGES_A_QUERY]))
        return fetched

    def _fetch_ahead(self, generation: Generation, message_ids: Sequence[MessageId]) -> None:
        wanted = self._new(generation, message_ids)[:MESSAGES_A_QUERY]
        if not wanted or len(self._hints) >= HINTS_UNDER_WAY:
            return
        task = asyncio.create_task(self._fetch(generation, wanted), name="mailstore-fetch-ahead")
        keys = [(generation, message_id) for message_id in wanted]
        self._hints.add(task)
        self._coming.update(dict.fromkeys(keys, task))
        task.add_done_callback(partial(self._came, keys))
        self._supervisor.watch("mailstore.prefetch", task)  # a reader asks again, and does not hear why

    def _new(self, generation: Generation, message_ids: Sequence[MessageId]) -> list[MessageId]:
        """Those that are neither kept nor on their way."""
        kept = self._kept.find(generation, message_ids)
        return [
            message_id
            for message_id, raw in zip(message_ids, kept, strict=True)
            if raw is None and (generation, message_id) not in self._coming
        ]

    def _came(self, keys: Sequence[Key], task: asyncio.Task[Fetched]) -> None:
        self._hints.discard(task)
        for key in keys:
            if self._coming.get(key) is task:
                del self._coming[key]

    async def _fetch(self, generation: Generation, message_ids: Sequence[MessageId]) -> Fetched:
        removals = generation.removals
        rows = await self._database.fetch(_OPEN, {"account_id": generation.account_id, "message_ids": message_ids})
        small = {row[0]: SmallMessage(row.octets, row.origin) for row in rows if row.octets is not None}
        self._kept.keep(generation, small, removals)
        if len(small) == len(rows):
            return small
        large = [row for row in rows if row.size > SMALL_OCTETS]  # what else has no octets has just gone
        return {**small, **{row[0]: LargeMessage(self._database, row[0], row.size, row.origin) for row in large}}


def _weigh(message: SmallMessage) -> int:
    return len(message.buffered) + KEPT_OVERHEAD_OCTETS
