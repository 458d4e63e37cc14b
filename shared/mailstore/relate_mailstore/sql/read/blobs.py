"""Raw messages: small ones are fetched many per statement and cached, large ones are read in parts.

Messages that will be opened next are prefetched in the background. A raw message never changes, so an entry is valid
while its message exists: see `generations`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import and_, bindparam, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import RawMessage
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.driver.database import CLOSE_SECONDS, Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.read.generations import Generation, Generations
from relate_mailstore.sql.read.message_cache import MessageCache
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId
from relate_supervisor import Supervisor

SMALL_OCTETS = 128 * 1024  # cached and prefetched up to this size: nearly all mail without attachments
OVERHEAD_OCTETS = 480  # of a cached message beside its own octets, measured with tracemalloc: key, slot, object, origin
MESSAGES_PER_QUERY = 64  # at most 8 MB
MAX_PREFETCHES = 32  # at the same time: more would only lengthen the database's queue

_OPEN = (
    select(messages.c.id, messages.c.size, messages.c.origin, blobs.c.octets)
    .outerjoin(blobs, and_(blobs.c.id == messages.c.id, blobs.c.part == 0, messages.c.size <= SMALL_OCTETS))
    .where(messages.c.account_id == bindparam("account_id"), one_of(messages.c.id, ids("message_ids")))
)
_PART = select(blobs.c.octets).where(blobs.c.id == bindparam("message_id"), blobs.c.part == bindparam("part"))

Key = tuple[Generation, MessageId]
Fetched = Mapping[MessageId, RawMessage]


class SmallMessage:
    """`RawMessage` whose octets are in memory."""

    __slots__ = ("buffered", "origin")

    def __init__(self, octets: bytes, origin: str | None) -> None:
        self.buffered = octets
        self.origin = origin

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.buffered)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop) as one chunk."""
        if octets := self.buffered[start:stop]:
            yield octets

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return self.buffered[start:stop]


class LargeMessage:
    """`RawMessage` that is read part by part. The next part is read while the caller handles the current one."""

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
            ahead.cancel()  # the caller may have closed the iterator early
            await asyncio.gather(ahead, return_exceptions=True)

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        parts = [chunk async for chunk in self.chunks(start, stop)]
        return await asyncio.to_thread(b"".join, parts)  # a copy of all octets, without the GIL

    async def _part(self, part: int) -> bytes:
        rows = await self._database.fetch(_PART, {"message_id": self._message_id, "part": part})
        if not rows:
            raise MessageNotFound(f"message {self._message_id} was removed")
        octets: bytes = rows[0].octets
        return octets


class Blobs:
    """Opens raw messages, and caches small ones."""

    def __init__(self, database: Database, generations: Generations, supervisor: Supervisor, caches: Caches) -> None:
        self._database = database
        self._generations = generations
        self._supervisor = supervisor
        self._cache = MessageCache[SmallMessage](caches.add("blobs", _weigh))
        self._prefetching: dict[Key, asyncio.Task[Fetched]] = {}
        self._prefetches: set[asyncio.Task[Fetched]] = set()

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """A raw message of this account; no query if it is cached. Raises MessageNotFound."""
        (raw,) = await self.open_all(account_id, [message_id], ahead)
        if raw is None:
            raise MessageNotFound(f"message {message_id} of account {account_id}")
        return raw

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Raw messages of this account, those that are not cached by one query. `ahead` is prefetched.

        The query also fetches messages of `ahead`, up to MESSAGES_PER_QUERY.
        """
        generation = await self._generations.confirm(account_id)
        opened: Sequence[RawMessage | None] = self._cache.find(generation, message_ids)
        if not all(opened):
            missing = [message_id for message_id, raw in zip(message_ids, opened, strict=True) if raw is None]
            fetched = await self._fetch_or_await(generation, missing, ahead)
            opened = [raw or fetched.get(message_id) for message_id, raw in zip(message_ids, opened, strict=True)]
        if ahead:
            self._prefetch(generation, ahead)
        return opened

    def evict(self, generation: Generation, message_ids: Collection[MessageId]) -> None:
        """Remove messages that were removed from the generation's account. Prefetches of them are not awaited."""
        self._cache.evict(generation, message_ids)
        for message_id in message_ids:
            self._prefetching.pop((generation, message_id), None)

    async def close(self) -> None:
        """Wait for the running prefetches, at most CLOSE_SECONDS; then cancel them."""
        if self._prefetches:
            _, late = await asyncio.wait(self._prefetches, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _fetch_or_await(
        self, generation: Generation, message_ids: Sequence[MessageId], ahead: Sequence[MessageId]
    ) -> Fetched:
        """Fetch messages, or await their prefetch. Messages whose prefetch failed are fetched again."""
        running = {task for one in message_ids if (task := self._prefetching.get((generation, one)))}
        fetched: dict[MessageId, RawMessage] = {}
        if running:
            await asyncio.wait(running)
            for task in running:
                if not task.cancelled() and not task.exception():
                    fetched.update(task.result())
        missing = [message_id for message_id in message_ids if message_id not in fetched]
        if 0 < len(missing) < MESSAGES_PER_QUERY:
            missing += self._not_cached(generation, ahead)[: MESSAGES_PER_QUERY - len(missing)]
        for start in range(0, len(missing), MESSAGES_PER_QUERY):
            fetched.update(await self._fetch(generation, missing[start : start + MESSAGES_PER_QUERY]))
        return fetched

    def _prefetch(self, generation: Generation, message_ids: Sequence[MessageId]) -> None:
        missing = self._not_cached(generation, message_ids)[:MESSAGES_PER_QUERY]
        if not missing or len(self._prefetches) >= MAX_PREFETCHES:
            return
        task = asyncio.create_task(self._fetch(generation, missing), name="mailstore-prefetch")
        keys = [(generation, message_id) for message_id in missing]
        self._prefetches.add(task)
        self._prefetching.update(dict.fromkeys(keys, task))
        task.add_done_callback(partial(self._on_prefetched, keys))
        self._supervisor.watch("mailstore.prefetch", task)  # reports a failure: readers fetch again without one

    def _not_cached(self, generation: Generation, message_ids: Sequence[MessageId]) -> list[MessageId]:
        """The messages that are neither cached nor being prefetched."""
        cached = self._cache.peek(generation, message_ids)
        return [
            message_id
            for message_id, raw in zip(message_ids, cached, strict=True)
            if raw is None and (generation, message_id) not in self._prefetching
        ]

    def _on_prefetched(self, keys: Sequence[Key], task: asyncio.Task[Fetched]) -> None:
        self._prefetches.discard(task)
        for key in keys:
            if self._prefetching.get(key) is task:
                del self._prefetching[key]

    async def _fetch(self, generation: Generation, message_ids: Sequence[MessageId]) -> Fetched:
        removals = generation.removals
        rows = await self._database.fetch(_OPEN, {"account_id": generation.account_id, "message_ids": message_ids})
        small = {row[0]: SmallMessage(row.octets, row.origin) for row in rows if row.octets is not None}
        self._cache.put(generation, small, removals)
        if len(small) == len(rows):
            return small
        large = [row for row in rows if row.size > SMALL_OCTETS]  # a small one without octets was just removed
        return {**small, **{row[0]: LargeMessage(self._database, row[0], row.size, row.origin) for row in large}}


def _weigh(message: SmallMessage) -> int:
    return len(message.buffered) + OVERHEAD_OCTETS
