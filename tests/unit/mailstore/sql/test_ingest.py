"""Group commit, without a database: how batches form, and who is hurt when one fails."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.write.group_commit import (
    BATCH_MESSAGES,
    BATCH_OCTETS,
    GATHER_SECONDS,
    Accepted,
    GroupCommit,
    Outcome,
)
from relate_mailstore.types import AccountId, Delivery, Destination, MessageId, Receipt
from relate_supervisor import Backoff, Supervisor

caller = ContextVar("caller", default="nobody")


def accepted(number: int, octets: int = 10) -> Accepted:
    delivery = Delivery(bytes(octets), (Destination(AccountId(1)),))
    return Accepted(delivery, MessageId(UUID(int=number)), {})


class Recorder:
    """Stores batches when it is let, and records them. `bad` messages spoil their batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.callers: list[str] = []
        self.may_store = asyncio.Event()
        self.storing = asyncio.Event()
        self.bad: set[int] = set()
        self.down = False

    async def store_batch(self, batch: Sequence[Accepted]) -> Sequence[Outcome]:
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
async def committing(recorder: Recorder) -> AsyncIterator[GroupCommit[Accepted, Receipt]]:
    commits: GroupCommit[Accepted, Receipt] = GroupCommit(recorder.store_batch, Supervisor())
    commits.start()
    try:
        yield commits
    finally:
        recorder.may_store.set()
        await commits.close()


async def deliver_while_busy(
    commits: GroupCommit[Accepted, Receipt], recorder: Recorder, waiting: Sequence[Accepted]
) -> Sequence[object]:
    """Deliver message 0, and the others while it is being stored; what became of the others."""
    first = asyncio.create_task(commits.deliver(accepted(0)))
    await recorder.storing.wait()
    others = [asyncio.create_task(commits.deliver(one)) for one in waiting]
    await asyncio.sleep(0)  # each is in the queue now
    recorder.may_store.set()
    results = await asyncio.gather(*others, return_exceptions=True)
    await asyncio.gather(first, return_exceptions=True)
    return results


async def test_what_waits_meanwhile_shares_the_next_batch() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        receipts = await deliver_while_busy(commits, recorder, [accepted(number) for number in range(1, 6)])
    assert recorder.batches == [[0], [1, 2, 3, 4, 5]]
    assert [receipt.batch for receipt in receipts if isinstance(receipt, Receipt)] == [5] * 5


async def test_a_batch_waits_for_as_many_as_the_last_one_had() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await deliver_while_busy(commits, recorder, [accepted(number) for number in (1, 2, 3)])
        back = [asyncio.create_task(commits.deliver(accepted(number))) for number in (4, 5)]
        await asyncio.sleep(0)  # the writer has seen them, and waits
        await commits.deliver(accepted(6))
        await asyncio.gather(*back)
    assert recorder.batches == [[0], [1, 2, 3], [4, 5, 6]]


async def test_a_batch_waits_a_moment_for_company_and_no_longer() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await deliver_while_busy(commits, recorder, [accepted(number) for number in (1, 2, 3)])
        began = time.monotonic()
        await commits.deliver(accepted(4))
        alone = time.monotonic()
        await commits.deliver(accepted(5))
    assert recorder.batches == [[0], [1, 2, 3], [4], [5]]
    assert alone - began >= GATHER_SECONDS / 2  # clocks of loops are coarse


async def test_a_batch_holds_so_many_messages_at_most() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        await deliver_while_busy(commits, recorder, [accepted(number) for number in range(BATCH_MESSAGES + 1)])
    assert [len(batch) for batch in recorder.batches] == [1, BATCH_MESSAGES, 1]


async def test_a_batch_holds_so_many_octets_at_most_and_a_bigger_message_goes_alone() -> None:
    recorder = Recorder()
    half = BATCH_OCTETS // 2
    waiting = [accepted(1, half), accepted(2, half), accepted(3, 1), accepted(4, BATCH_OCTETS + 1), accepted(5, 1)]
    async with committing(recorder) as commits:
        await deliver_while_busy(commits, recorder, waiting)
    assert recorder.batches == [[0], [1, 2], [3], [4], [5]]


async def test_a_bad_message_hurts_only_itself() -> None:
    recorder = Recorder()
    recorder.bad = {2}
    async with committing(recorder) as commits:
        results = await deliver_while_busy(commits, recorder, [accepted(number) for number in (1, 2, 3)])
    assert [type(result) for result in results] == [Receipt, ValueError, Receipt]
    assert recorder.batches == [[0], [1, 2, 3], [1], [2], [3]]


async def test_a_lost_database_fails_the_batch_at_once_and_the_writer_lives_on() -> None:
    recorder = Recorder()
    recorder.down = True
    async with committing(recorder) as commits:
        results = await deliver_while_busy(commits, recorder, [accepted(1), accepted(2)])
        assert [type(result) for result in results] == [StoreUnavailable] * 2
        assert recorder.batches == [[0], [1, 2]]
        recorder.down = False
        assert (await commits.deliver(accepted(3))).message_id == UUID(int=3)


async def test_a_caller_that_goes_before_its_turn_is_left_out() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        first = asyncio.create_task(commits.deliver(accepted(0)))
        await recorder.storing.wait()
        gone, stays = (asyncio.create_task(commits.deliver(accepted(number))) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        recorder.may_store.set()
        await asyncio.gather(first, stays)
    assert recorder.batches == [[0], [2]]


async def test_a_caller_that_goes_while_its_batch_is_stored_disturbs_nobody() -> None:
    recorder = Recorder()
    async with committing(recorder) as commits:
        first = asyncio.create_task(commits.deliver(accepted(0)))
        await recorder.storing.wait()
        first.cancel()
        recorder.may_store.set()
        assert (await commits.deliver(accepted(1))).message_id == UUID(int=1)


async def test_a_batch_runs_in_the_context_of_its_first_caller() -> None:
    recorder = Recorder()

    async def call(name: str, number: int) -> None:
        caller.set(name)
        await commits.deliver(accepted(number))

    async with committing(recorder) as commits:
        tasks = [asyncio.create_task(call("zero", 0))]
        await recorder.storing.wait()
        tasks += [asyncio.create_task(call(name, number)) for number, name in enumerate(("one", "two"), 1)]
        await asyncio.sleep(0)
        recorder.may_store.set()
        await asyncio.gather(*tasks)
    assert recorder.callers == ["zero", "one"]


async def test_closing_finishes_what_was_accepted_and_accepts_no_more() -> None:
    recorder = Recorder()
    commits: GroupCommit[Accepted, Receipt] = GroupCommit(recorder.store_batch, Supervisor())
    commits.start()
    waiting = [asyncio.create_task(commits.deliver(accepted(number))) for number in range(3)]
    await recorder.storing.wait()
    recorder.may_store.set()
    await commits.close()
    assert all(task.done() for task in waiting)
    with pytest.raises(StoreUnavailable):
        await commits.deliver(accepted(9))
    await commits.close()


async def test_a_fault_of_the_writer_leaves_no_caller_without_an_answer_and_the_writer_goes_on() -> None:
    async def store_too_few(batch: Sequence[Accepted]) -> Sequence[Outcome]:
        return [] if batch[0].message_id.int == 0 else [Receipt(one.message_id, (), len(batch)) for one in batch]

    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    commits: GroupCommit[Accepted, Receipt] = GroupCommit(store_too_few, supervisor)
    commits.start()
    async with asyncio.timeout(10):
        with capture_logs(), pytest.raises(StoreUnavailable):
            await commits.deliver(accepted(0))
        assert (await commits.deliver(accepted(1))).message_id == UUID(int=1)
        await commits.close()
    assert supervisor.failures == {"mailstore.writer": 1}


async def test_closing_while_a_writer_rests_after_a_fault_stores_what_waits() -> None:
    recorder, rested = Recorder(), asyncio.Event()

    async def fail_once(batch: Sequence[Accepted]) -> Sequence[Outcome]:
        if not rested.is_set():
            rested.set()
            return []
        return await recorder.store_batch(batch)

    recorder.may_store.set()
    commits: GroupCommit[Accepted, Receipt] = GroupCommit(fail_once, Supervisor(Backoff(3600.0, 3600.0, 7200.0)))
    commits.start()
    async with asyncio.timeout(10):
        with capture_logs(), pytest.raises(StoreUnavailable):
            await commits.deliver(accepted(0))
        waiting = asyncio.create_task(commits.deliver(accepted(1)))
        await asyncio.sleep(0)
        await commits.close()
        assert (await waiting).message_id == UUID(int=1)
