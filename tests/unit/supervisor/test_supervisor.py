"""Background work is restarted after any exception, with back-off; the exception is logged and counted."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from relate_mailstore.errors import MailboxNotFound
from relate_supervisor import Backoff, Supervisor, TaskName
from relate_supervisor.supervisor import _Delays
from relate_telemetry.names import BACKGROUND_FAILURES
from tests.unit.dashboards.prometheus_names import ROOT

TIMEOUT_SECONDS = 10.0
SOON = Backoff(0.001, 0.001, 60.0)
NEVER = Backoff(3600.0, 3600.0, 7200.0)  # a delay that only a stop ends

Log = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    with capture_logs() as entries:
        yield entries


class Work:
    """Raises the given exceptions, one per call, then waits until it is cancelled or stopped."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.failing = asyncio.Event()
        self.steady = asyncio.Event()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        self.calls += 1
        if self.errors:
            self.failing.set()
            raise self.errors.pop(0)
        self.steady.set()
        await self.stopping.wait()


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await asyncio.wait([task])


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError(), RecursionError(), TimeoutError()])
async def test_an_exception_is_logged_and_counted_and_the_task_restarts(error: Exception, log: Log) -> None:
    supervisor, work = Supervisor(SOON), Work(error, error)
    task = supervisor.keep("mailstore.upkeep", work.run)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await work.steady.wait()
    assert supervisor.failures == {"mailstore.upkeep": 2}
    assert [(entry["log_level"], entry["task"], entry["exc_info"]) for entry in log] == [
        ("error", "mailstore.upkeep", error)
    ] * 2
    await cancel(task)
    assert task.cancelled()


async def test_tasks_are_independent() -> None:
    supervisor, good, bad = Supervisor(NEVER), Work(), Work(ValueError())
    tasks = [supervisor.keep("mailstore.upkeep", good.run), supervisor.keep("wire.deadlines", bad.run)]
    await bad.failing.wait()
    await good.steady.wait()
    assert supervisor.failures == {"mailstore.upkeep": 0, "wire.deadlines": 1}
    for task in tasks:
        await cancel(task)


async def test_a_cancelled_future_does_not_end_the_task_that_awaits_it() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    supervisor, work = Supervisor(SOON), Work()

    async def run() -> None:
        if not future.done() or work.calls == 0:
            work.calls += 1
            await future
        await work.run()

    task = supervisor.keep("mailstore.notices", run)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await work.steady.wait()
    assert supervisor.failures == {"mailstore.notices": 1}
    await cancel(task)


async def test_cancelling_ends_a_delay_at_once() -> None:
    work = Work(ValueError())
    task = Supervisor(NEVER).keep("mailstore.notices", work.run)
    await work.failing.wait()
    await cancel(task)
    assert (task.cancelled(), work.calls) == (True, 1)


async def test_cancelling_ends_a_task_whose_cleanup_fails(log: Log) -> None:
    entered = asyncio.Event()

    async def run() -> None:
        try:
            entered.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("while it is cancelled")

    task = Supervisor(NEVER).keep("mailstore.notices", run)
    await entered.wait()
    await cancel(task)
    assert task.done()
    assert len(log) == 1


async def test_a_stop_ends_a_delay_and_runs_once_more() -> None:
    work = Work(ValueError())
    task = Supervisor(NEVER).keep("mailstore.writer", work.run, work.stopping)
    await work.failing.wait()
    work.stopping.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await task
    assert work.calls == 2


async def test_a_failure_in_the_last_run_is_not_retried() -> None:
    work = Work(*[ValueError()] * 5)
    supervisor = Supervisor(NEVER)
    task = supervisor.keep("mailstore.writer", work.run, work.stopping)
    await work.failing.wait()
    work.stopping.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await task
    assert supervisor.failures == {"mailstore.writer": 2}


def test_a_thread_restarts_and_is_stopped_in_a_delay() -> None:
    supervisor, stopping, steady, calls = Supervisor(SOON), threading.Event(), threading.Event(), itertools.count()

    def run() -> None:
        if next(calls) < 2:
            raise ValueError("a bug")
        steady.set()
        stopping.wait(TIMEOUT_SECONDS)

    thread = supervisor.keep_thread("telemetry.spans", run, stopping)
    assert steady.wait(TIMEOUT_SECONDS)
    stopping.set()
    thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()
    assert supervisor.failures == {"telemetry.spans": 2}


def test_a_stop_ends_the_delay_of_a_thread_at_once() -> None:
    stopping, failing = threading.Event(), threading.Event()

    def run() -> None:
        if not stopping.is_set():
            failing.set()
            raise ValueError("a bug")

    thread = Supervisor(NEVER).keep_thread("telemetry.spans", run, stopping)
    assert failing.wait(TIMEOUT_SECONDS)
    stopping.set()
    thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()


def test_delays_double_with_jitter_and_reset_after_a_steady_run() -> None:
    pauses = _Delays(Backoff(first=1.0, last=8.0, steady=60.0))
    for most in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert most / 2 <= pauses.next_after(0.0) <= most
    assert pauses.next_after(60.0) <= 1.0
    delays = {_Delays(Backoff()).next_after(0.0) for _ in range(20)}
    assert len(delays) > 1


async def test_the_failure_of_an_unawaited_task_is_reported(log: Log) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    supervisor = Supervisor()
    task = asyncio.create_task(fail())
    supervisor.watch("mailstore.prefetch", task)
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert supervisor.failures == {"mailstore.prefetch": 1}
    assert [entry["task"] for entry in log] == ["mailstore.prefetch"]


async def test_a_permanent_error_is_no_failure(log: Log) -> None:
    async def answer() -> None:
        raise MailboxNotFound("a")

    supervisor = Supervisor()
    task = asyncio.create_task(answer())
    supervisor.watch("mailstore.change", task)
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert (supervisor.failures, log) == ({"mailstore.change": 0}, [])


async def test_exceptions_of_callbacks_are_reported(log: Log) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    loop, supervisor, done = asyncio.get_running_loop(), Supervisor(), asyncio.Event()
    supervisor.watch_loop(loop)
    loop.call_soon(fail)
    loop.call_soon(done.set)
    await done.wait()
    loop.set_exception_handler(None)
    assert supervisor.failures == {"event_loop": 1}
    assert isinstance(log[0]["exc_info"], ValueError)


def test_every_task_is_documented() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    section = page.partition(f"### `{BACKGROUND_FAILURES}`")[2].partition("\n## ")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert rows == sorted(get_args(TaskName))
