"""Group commit without a database: how batches form, and which callers see a failure."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.write.deliver import DeliveryResult
from relate_mailstore.sql.write.group_commit import (
    BATCH_ITEMS,
    BATCH_OCTETS,
    GATHER_SECONDS,
    GroupCommit,
    QueuedDelivery,
)
from relate_mailstore.types import AccountId, Delivery, Destination, MessageId, Receipt
from relate_supervisor import Backoff, Supervisor

caller = ContextVar("caller", default="none")


def queued(number: int, octets: int = 10) -> QueuedDelivery:
    delivery = Delivery(bytes(octets), (Destination(AccountId(1)),))
    return QueuedDelivery(delivery, MessageId(UUID(int=number)), {})


class Recorder:
    """Records batches, and stores them once `may_store` is set. A batch with a `bad` message fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.callers: list[str] = []
        self.may_store = asyncio.Event()
        self.storing = asyncio.Event()
        self.bad: set[int] = set()
        self.down = False

    async def store_batch(self, batch: Sequence[QueuedDelivery]) -> Sequence[DeliveryResult]:
        self.batches.append([one.message_id.int for one in batch])
        self.callers.append(caller.get())
        self.storing.set()
        await self.may_store.wait()
        if self.down:
            raise StoreUnavailable("down")
        if self.bad.intersection(self.batches[-1]):
            raise ValueError("a bad message")
        return [Receipt(one.message_id, (), len(batch)) for one in batch]


@asynccontextmanager
async def committing(recorder: Recorder) -> AsyncIterator[GroupCommit[QueuedDelivery, Receipt]]:
    commits: GroupCommit[QueuedDelivery, Receipt] = GroupCommit(recorder.store_batch, Supervisor())
    commits.start()
    try:
        yield commits
    finally:
        recorder.may_store.set()
        await commits.close()


async def submit_while_busy(
    commits: GroupCommit[QueuedDelivery, Receipt], recorder: Recorder, items: Sequence[QueuedDelivery]
) -> Sequence[object]:
    """Submit message 0, and the others while it is being stored; the results of the others."""
    first = asyncio.create_task(commits.submit(queued(0)))
    await recorder.storing.wait()
    others = [asyncio.create_task(commits.submit(one)) for one in items]
    await asyncio.sleep(0)  # they are in the queue now
    recorder.may_store.set()
    results = await asyncio.gather(*others, return_exceptions=True)
    await asyncio.gather(first, return_exceptions=True)
    return results


async def test_items_queued_during_a_batch_share_the_next_one() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        receipts = await submit_while_busy(commits, recorder, [queued(number) for number in range(1, 6)])
    assert recorder.batches == [[0], [1, 2, 3, 4, 5]]
    assert [receipt.batch for receipt in receipts if isinstance(receipt, Receipt)] == [5] * 5


async def test_a_batch_waits_for_as_many_items_as_the_last_one_had() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await submit_while_busy(commits, recorder, [queued(number) for number in (1, 2, 3)])
        first_two = [asyncio.create_task(commits.submit(queued(number))) for number in (4, 5)]
        await asyncio.sleep(0)  # the writer has seen them and waits for a third
        await commits.submit(queued(6))
        await asyncio.gather(*first_two)
    assert recorder.batches == [[0], [1, 2, 3], [4, 5, 6]]


async def test_a_batch_waits_for_more_items_only_briefly() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await submit_while_busy(commits, recorder, [queued(number) for number in (1, 2, 3)])
        began = time.monotonic()
        await commits.submit(queued(4))
        alone = time.monotonic()
        await commits.submit(queued(5))
    assert recorder.batches == [[0], [1, 2, 3], [4], [5]]
    assert alone - began >= GATHER_SECONDS / 2  # clocks of loops are coarse


async def test_the_items_of_a_batch_are_limited() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await submit_while_busy(commits, recorder, [queued(number) for number in range(BATCH_ITEMS + 1)])
    assert [len(batch) for batch in recorder.batches] == [1, BATCH_ITEMS, 1]


async def test_the_octets_of_a_batch_are_limited_and_a_larger_message_goes_alone() -> None:
    recorder = Recorder()
    half = BATCH_OCTETS // 2
    items = [queued(1, half), queued(2, half), queued(3, 1), queued(4, BATCH_OCTETS + 1), queued(5, 1)]
    async with committing(recorder) as commits:
        await submit_while_busy(commits, recorder, items)
    assert recorder.batches == [[0], [1, 2], [3], [4], [5]]


async def test_a_bad_message_fails_alone() -> None:
    recorder = Recorder()
    recorder.bad = {2}
    async with committing(recorder) as commits:
        results = await submit_while_busy(commits, recorder, [queued(number) for number in (1, 2, 3)])
    assert [type(result) for result in results] == [Receipt, ValueError, Receipt]
    assert recorder.batches == [[0], [1, 2, 3], [1], [2], [3]]


async def test_an_unavailable_database_fails_the_batch_and_the_writer_continues() -> None:
    recorder = Recorder()
    recorder.down = True
    async with committing(recorder) as commits:
        results = await submit_while_busy(commits, recorder, [queued(1), queued(2)])
        assert [type(result) for result in results] == [StoreUnavailable] * 2
        assert recorder.batches == [[0], [1, 2]]
        recorder.down = False
        assert (await commits.submit(queued(3))).message_id == UUID(int=3)


async def test_an_item_cancelled_in_the_queue_is_not_stored() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        first = asyncio.create_task(commits.submit(queued(0)))
        await recorder.storing.wait()
        cancelled, other = (asyncio.create_task(commits.submit(queued(number))) for number in (1, 2))
        await asyncio.sleep(0)
        cancelled.cancel()
        recorder.may_store.set()
        await asyncio.gather(first, other)
    assert recorder.batches == [[0], [2]]


async def test_an_item_cancelled_during_its_batch_affects_no_other() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        first = asyncio.create_task(commits.submit(queued(0)))
        await recorder.storing.wait()
        first.cancel()
        recorder.may_store.set()
        assert (await commits.submit(queued(1))).message_id == UUID(int=1)


async def test_a_batch_runs_in_the_context_of_its_first_caller() -> None:
    recorder = Recorder()

    async def call(name: str, number: int) -> None:
        caller.set(name)
        await commits.submit(queued(number))

    async with committing(recorder) as commits:
        tasks = [asyncio.create_task(call("zero", 0))]
        await recorder.storing.wait()
        tasks += [asyncio.create_task(call(name, number)) for number, name in enumerate(("one", "two"), 1)]
        await asyncio.sleep(0)
        recorder.may_store.set()
        await asyncio.gather(*tasks)
    assert recorder.callers == ["zero", "one"]


async def test_close_stores_queued_items_and_refuses_new_ones() -> None:
    recorder = Recorder()
    commits: GroupCommit[QueuedDelivery, Receipt] = GroupCommit(recorder.store_batch, Supervisor())
    commits.start()
    callers = [asyncio.create_task(commits.submit(queued(number))) for number in range(3)]
    await recorder.storing.wait()
    recorder.may_store.set()
    await commits.close()
    assert all(task.done() for task in callers)
    with pytest.raises(StoreUnavailable):
        await commits.submit(queued(9))
    await commits.close()


async def test_a_bug_in_the_writer_fails_the_batch_and_the_writer_restarts() -> None:
    async def store_too_few(batch: Sequence[QueuedDelivery]) -> Sequence[DeliveryResult]:
        return [] if batch[0].message_id.int == 0 else [Receipt(one.message_id, (), len(batch)) for one in batch]

    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    commits: GroupCommit[QueuedDelivery, Receipt] = GroupCommit(store_too_few, supervisor)
    commits.start()
    async with asyncio.timeout(10):
        with capture_logs(), pytest.raises(StoreUnavailable):
            await commits.submit(queued(0))
        assert (await commits.submit(queued(1))).message_id == UUID(int=1)
        await commits.close()
    assert supervisor.failures == {"mailstore.writer": 1}


async def test_close_during_the_back_off_of_a_failed_writer_stores_the_queue() -> None:
    recorder, failed = Recorder(), asyncio.Event()

    async def fail_once(batch: Sequence[QueuedDelivery]) -> Sequence[DeliveryResult]:
        if not failed.is_set():
            failed.set()
            return []
        return await recorder.store_batch(batch)

    recorder.may_store.set()
    commits: GroupCommit[QueuedDelivery, Receipt] = GroupCommit(fail_once, Supervisor(Backoff(3600.0, 3600.0, 7200.0)))
    commits.start()
    async with asyncio.timeout(10):
        with capture_logs(), pytest.raises(StoreUnavailable):
            await commits.submit(queued(0))
        pending = asyncio.create_task(commits.submit(queued(1)))
        await asyncio.sleep(0)
        await commits.close()
        assert (await pending).message_id == UUID(int=1)
