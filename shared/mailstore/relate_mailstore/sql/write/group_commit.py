"""Group commit: deliveries that wait at the same time are stored by one transaction, and share its flush to disk.

One writer task takes what waits, stores it, answers everybody, and takes what came meanwhile; so batches grow with the
load. Clients who were just answered and have more to send are back in a moment, one after the other: so a batch waits
that moment until it has as many as the last one, since a transaction costs as much by itself as several messages do.
Whoever is alone waits for nobody, once that is known. No SQL here: what a batch does is `store_batch`'s affair.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.types import Delivery, MessageId, Receipt
from relate_supervisor import Supervisor, TaskName

BATCH_MESSAGES = 100  # more gain nothing: a message's share of the commit is small beside its own cost by then
GATHER_SECONDS = 0.002  # at most, for as many as the last batch had: about what a transaction takes
BATCH_OCTETS = 8 * 1024 * 1024  # a batch holds its mailboxes locked while it sends these; a bigger message goes alone

Answer = TypeVar("Answer")


class Waiting(Protocol[Answer]):
    """What waits to be stored: its weight in a batch, its caller's context, and its answer."""

    @property
    def weight(self) -> int:
        """Of all that share a batch, the limit is on the sum."""

    @property
    def context(self) -> Context:
        """The caller's."""

    @property
    def receipt(self) -> asyncio.Future[Answer]:
        """What the caller waits for."""


Item = TypeVar("Item", bound=Waiting[Any])


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A delivery that waits to be stored, with the columns of its index made ready beforehand.

    `context` is the caller's: the SQL spans of a batch land in that of its first delivery.
    """

    delivery: Delivery
    message_id: MessageId
    columns: Mapping[str, Any]
    context: Context = field(default_factory=copy_context)
    receipt: asyncio.Future[Receipt] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        """Octets of the message."""
        return len(self.delivery.raw)


Outcome = Receipt | StoreError


class GroupCommit(Generic[Item, Answer]):
    """The queue and its writer. `store_batch` stores a batch or raises; its outcomes are in the batch's order."""

    def __init__(
        self,
        store_batch: Callable[[Sequence[Item]], Coroutine[Any, Any, Sequence[Answer | StoreError]]],
        supervisor: Supervisor,
        name: TaskName = "mailstore.writer",
        heaviest: int = BATCH_OCTETS,
    ) -> None:
        self._store_batch = store_batch
        self._supervisor = supervisor
        self._name = name
        self._heaviest = heaviest
        # As long as there are callers who wait: each holds its own message, the queue only refers to it.
        self._waiting: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._awaited = 1  # how many must wait for the event to be set
        self._expected = 1  # as many as the last batch had
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Begin to write."""
        self._writer = self._supervisor.keep(self._name, self._write, self._closing)

    async def deliver(self, accepted: Item) -> Answer:
        """Wait until this is durable. Raises StoreError. A caller that is cancelled disturbs nobody else."""
        if self._closing.is_set() or self._writer is None:
            raise StoreUnavailable("the store is closed")
        self._waiting.append(accepted)
        if len(self._waiting) >= self._awaited:
            self._arrived.set()
        answer: Answer = await accepted.receipt
        return answer

    async def close(self) -> None:
        """Store what was accepted, and accept no more."""
        self._closing.set()
        self._arrived.set()
        if self._writer is not None:
            await self._writer
        _give_up(self._waiting)  # a writer that failed to the last left some

    async def _write(self) -> None:
        while await self._something_waits():
            await self._write_batch()

    async def _write_batch(self) -> None:  # on its own: no variable holds the messages while nothing waits
        batch = self._take_batch()
        try:
            if batch:
                await self._settle(batch)
                self._expected = len(batch)
        except BaseException:  # a fault of the writer's own: the callers would wait in vain
            _give_up(batch)
            raise

    async def _something_waits(self) -> bool:
        await self._wait_for(1)
        if len(self._waiting) < self._expected:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._wait_for(self._expected)
        return bool(self._waiting)

    async def _wait_for(self, count: int) -> None:
        self._awaited = count
        while len(self._waiting) < count and not self._closing.is_set():
            self._arrived.clear()
            await self._arrived.wait()

    def _take_batch(self) -> list[Item]:
        """What waits, up to the limits, without those whose callers have gone meanwhile."""
        batch: list[Item] = []
        weight = 0
        while self._waiting and len(batch) < BATCH_MESSAGES:
            weight += self._waiting[0].weight
            if batch and weight > self._heaviest:
                break
            batch.append(self._waiting.popleft())
        return [accepted for accepted in batch if not accepted.receipt.done()]

    async def _settle(self, batch: Sequence[Item]) -> None:
        """Store a batch and answer everybody. If it is refused, each by itself: a bad message hurts only itself."""
        storing = asyncio.create_task(self._store_batch(batch), context=batch[0].context)
        await asyncio.wait([storing])
        error = storing.exception()
        if error is None:
            for accepted, outcome in zip(batch, storing.result(), strict=True):
                _answer(accepted, outcome)
        elif len(batch) == 1:
            _answer(batch[0], error)
        elif isinstance(error, StoreUnavailable):
            for accepted in batch:
                _answer(accepted, StoreUnavailable(*error.args))  # one each: raising an exception writes to it
        else:
            for accepted in batch:
                await self._settle([accepted])


def _give_up(batch: Iterable[Waiting[Any]]) -> None:
    """Answer those callers who have no answer yet."""
    for accepted in batch:
        _answer(accepted, StoreUnavailable("the writer failed"))


def _answer(accepted: Waiting[Any], outcome: object) -> None:
    if accepted.receipt.done():  # the caller has gone
        return
    if isinstance(outcome, BaseException):
        accepted.receipt.set_exception(outcome)
    else:
        accepted.receipt.set_result(outcome)
