"""The numbers of the queue for its metrics: neither the thread that exports nor the loop waits for the database."""

import asyncio
from typing import Any

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import QueueStatistics
from relate_service.statistics import PAUSE_SECONDS, READ_SHARE, ExportedStatistics
from relate_supervisor import Supervisor

NUMBERS = QueueStatistics({}, 1.0)
TIMEOUT_SECONDS = 30.0


class Queue:
    """A queue whose answer is given by the test; `asked` is set by each question."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[QueueStatistics] = asyncio.get_running_loop().create_future()
        self.asked = asyncio.Event()
        self.questions = 0

    async def statistics(self) -> QueueStatistics:
        self.questions += 1
        self.asked.set()
        return await asyncio.shield(self.answer)

    async def wait(self) -> None:
        """Wait for the next question."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self.asked.wait()
        self.asked.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(MemoryMailStore().queue, name)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def exported(queue: Queue) -> tuple[ExportedStatistics[QueueStatistics], Clock]:
    clock = Clock()
    return ExportedStatistics("relay.statistics", queue.statistics, Supervisor(), clock), clock


async def settled() -> None:
    """Let the loop run what is due."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_export_takes_what_was_read_and_asks_for_the_next() -> None:
    queue = Queue()
    statistics, clock = exported(queue)
    assert await asyncio.to_thread(statistics.take) is None
    await queue.wait()
    assert statistics.take() is None  # the database has not answered, and no thread waits for it
    queue.answer.set_result(NUMBERS)
    await settled()
    assert await asyncio.to_thread(statistics.take) is NUMBERS
    clock.now += PAUSE_SECONDS
    statistics.take()
    await queue.wait()
    await statistics.close()


async def test_nothing_is_read_without_an_export() -> None:
    queue = Queue()
    statistics, _ = exported(queue)
    await settled()
    assert queue.questions == 0
    await statistics.close()


async def test_several_exporters_share_a_read() -> None:
    queue = Queue()
    statistics, clock = exported(queue)
    queue.answer.set_result(NUMBERS)
    for _ in range(3):
        statistics.take()
        await settled()
    assert queue.questions == 1
    clock.now += PAUSE_SECONDS
    statistics.take()
    await settled()
    assert queue.questions == 2
    await statistics.close()


async def test_a_read_that_takes_long_is_not_started_twice() -> None:
    queue = Queue()
    statistics, clock = exported(queue)
    for _ in range(3):
        statistics.take()
        await settled()
        clock.now += PAUSE_SECONDS
    assert queue.questions == 1
    await statistics.close()


async def test_the_pause_is_in_proportion_to_the_duration_of_a_read() -> None:
    queue = Queue()
    statistics, clock = exported(queue)
    statistics.take()
    await queue.wait()
    clock.now += 3.0  # a long queue
    queue.answer.set_result(NUMBERS)
    await settled()
    clock.now += 3.0 / READ_SHARE - 1
    statistics.take()
    await settled()
    assert queue.questions == 1
    clock.now += 1
    statistics.take()
    await settled()
    assert queue.questions == 2
    await statistics.close()


async def test_old_numbers_are_not_exported_while_the_store_is_away() -> None:
    queue = Queue()
    supervisor, clock = Supervisor(), Clock()
    statistics = ExportedStatistics("relay.statistics", queue.statistics, supervisor, clock)
    queue.answer.set_result(NUMBERS)
    statistics.take()
    await settled()
    assert statistics.take() is NUMBERS
    queue.answer = asyncio.get_running_loop().create_future()
    queue.answer.set_exception(StoreUnavailable("away"))
    clock.now += PAUSE_SECONDS
    statistics.take()
    await settled()
    assert statistics.take() is None
    assert not supervisor.failures.total()
    await statistics.close()


async def test_the_end_cancels_the_read_that_runs() -> None:
    queue = Queue()
    statistics, clock = exported(queue)
    statistics.take()
    await queue.wait()
    await statistics.close()
    clock.now += PAUSE_SECONDS
    assert statistics.take() is None
    await settled()
    assert queue.questions == 1
