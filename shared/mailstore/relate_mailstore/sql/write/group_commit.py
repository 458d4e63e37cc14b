"""Group commit: items that are pending at the same time share one transaction and one flush to disk.

One writer task takes the pending items as a batch, stores it, sets their results, and takes what was queued meanwhile;
so batches grow with the load. Clients that have more to send queue their next item shortly after a reply, one after
the other. So a batch waits for that moment until it has as many items as the last one had, because a transaction by
itself costs as much as several messages. A lone client never waits once the last batch had one item.

No SQL here: `store_batch` runs the transaction.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.filter_types import FilterKey
from relate_mailstore.types import Delivery, MessageId, Receipt
from relate_mime import MessageIndex
from relate_supervisor import Supervisor, TaskName

BATCH_ITEMS = 100  # in larger batches the share of the commit is small beside a message's own cost
GATHER_SECONDS = 0.002  # the longest wait for as many items as the last batch had: about one transaction
BATCH_OCTETS = 8 * 1024 * 1024  # sent while the mailboxes are locked; a larger message has a batch of its own

Result = TypeVar("Result")


class Queued(Protocol[Result]):
    """An item of the queue."""

    @property
    def weight(self) -> int:
        """Its share of the limit on a batch."""

    @property
    def context(self) -> Context:
        """The caller's context: the SQL spans of a batch are children of the span of its first item."""

    @property
    def result(self) -> asyncio.Future[Result]:
        """Set when the item is stored or refused."""


Item = TypeVar("Item", bound=Queued[Any])


@dataclass(slots=True, eq=False)
class QueuedDelivery:
    """A delivery with its index and the columns of it, which are computed before the transaction.

    `began` is when its transaction began, by `time.perf_counter`. `texts` are those of the texts that filters have
    asked for that its body has, None if none has asked. Within the transaction, `applied` are the filters that have
    acted, and `refusal` is why it cannot be stored.
    """

    delivery: Delivery
    message_id: MessageId
    columns: Mapping[str, Any]
    context: Context = field(default_factory=copy_context)
    result: asyncio.Future[Receipt] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    began: float = 0.0
    index: MessageIndex | None = None
    texts: frozenset[str] | None = None
    applied: tuple[FilterKey, ...] = ()
    refusal: StoreError | None = None

    @property
    def weight(self) -> int:
        """Octets of the message."""
        return len(self.delivery.raw)


class GroupCommit(Generic[Item, Result]):
    """The queue and its writer task.

    `store_batch` stores a batch and returns a result per item, in order, or raises. `max_weight` bounds a batch.
    """

    def __init__(
        self,
        store_batch: Callable[[Sequence[Item]], Coroutine[Any, Any, Sequence[Result | StoreError]]],
        supervisor: Supervisor,
        name: TaskName = "mailstore.writer",
        max_weight: int = BATCH_OCTETS,
    ) -> None:
        self._store_batch = store_batch
        self._supervisor = supervisor
        self._name = name
        self._max_weight = max_weight
        # Not bounded: every item belongs to a caller that waits and holds the message anyway.
        self._queue: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._wake_at = 1  # set the event when the queue has this many items
        self._last_batch_items = 1
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Start the writer."""
        self._writer = self._supervisor.keep(self._name, self._write, self._closing)

    async def submit(self, item: Item) -> Result:
        """Queue an item and wait until it is committed. Raises StoreError. Cancelling affects no other item."""
        if self._closing.is_set() or self._writer is None:
            raise StoreUnavailable("the store is closed")
        self._queue.append(item)
        if len(self._queue) >= self._wake_at:
            self._arrived.set()
        result: Result = await item.result
        return result

    async def close(self) -> None:
        """Store the queued items and refuse new ones."""
        self._closing.set()
        self._arrived.set()
        if self._writer is not None:
            await self._writer
        _fail(self._queue)  # left over if the writer failed

    async def _write(self) -> None:
        while await self._wait_for_batch():
            await self._write_batch()

    async def _write_batch(self) -> None:  # a function, so that no variable holds the messages while the queue is empty
        batch = self._take_batch()
        try:
            if batch:
                await self._store(batch)
                self._last_batch_items = len(batch)
        except BaseException:  # a bug in the writer: the callers must not wait forever
            _fail(batch)
            raise

    async def _wait_for_batch(self) -> bool:
        """Wait for a first item, then briefly for as many as the last batch had. False when the queue is closed."""
        await self._wait_for_items(1)
        if len(self._queue) < self._last_batch_items:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._wait_for_items(self._last_batch_items)
        return bool(self._queue)

    async def _wait_for_items(self, count: int) -> None:
        self._wake_at = count
        while len(self._queue) < count and not self._closing.is_set():
            self._arrived.clear()
            await self._arrived.wait()

    def _take_batch(self) -> list[Item]:
        """Items up to the limits, without those whose callers were cancelled."""
        batch: list[Item] = []
        weight = 0
        while self._queue and len(batch) < BATCH_ITEMS:
            weight += self._queue[0].weight
            if batch and weight > self._max_weight:
                break
            batch.append(self._queue.popleft())
        return [item for item in batch if not item.result.done()]

    async def _store(self, batch: Sequence[Item]) -> None:
        """Store a batch and set the results. If it fails, retry item by item, so that a bad one fails alone."""
        storing = asyncio.create_task(self._store_batch(batch), context=batch[0].context)
        await asyncio.wait([storing])
        error = storing.exception()
        if error is None:
            for item, result in zip(batch, storing.result(), strict=True):
                _set_result(item, result)
        elif len(batch) == 1:
            _set_result(batch[0], error)
        elif isinstance(error, StoreUnavailable):
            for item in batch:
                _set_result(item, StoreUnavailable(*error.args))  # a copy each: raising an exception modifies it
        else:
            for item in batch:
                await self._store([item])


def _fail(batch: Iterable[Queued[Any]]) -> None:
    """Raise StoreUnavailable in the callers that have no result yet."""
    for item in batch:
        _set_result(item, StoreUnavailable("the writer failed"))


def _set_result(item: Queued[Any], result: object) -> None:
    if item.result.done():  # the caller was cancelled
        return
    if isinstance(result, BaseException):
        item.result.set_exception(result)
    else:
        item.result.set_result(result)
