"""Background maintenance: its batches, its throttling, its failures, and that it ends promptly."""

import asyncio
import itertools
import time

import pytest
from structlog.testing import capture_logs

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.deltas import Committed, MailboxDelta
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.sql.upkeep import background
from relate_mailstore.sql.upkeep.background import Upkeep
from relate_mailstore.sql.upkeep.cpu_idle import CpuSample
from relate_mailstore.types import AccountId, Mailbox, MailboxId, ModSeq, Uid
from relate_supervisor import Backoff, NoTracing, Supervisor
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import opened

WAIT_SECONDS = 10.0  # then the test fails

DELIVERED = Committed(
    None,
    [
        MailboxDelta(
            Mailbox(MailboxId(1), AccountId(1), "INBOX", 1, Uid(1), ModSeq(1), "", 0, 0, Uid(1)), dirty=True, arrived=1
        )
    ],
)


class Work:
    """Pending batches, by their number of messages; each call of `make_texts` does one."""

    def __init__(self, *batches: int | Exception) -> None:
        self.batches = list(batches)
        self.done = asyncio.Event()
        self.limits: list[int] = []  # the most messages that each call may do

    async def make_texts(self, count: int) -> int:
        self.limits.append(count)
        batch = self.batches.pop(0) if self.batches else 0
        if not self.batches:
            self.done.set()
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def trim(self) -> int:
        return 0


def no_notices() -> int:
    """A count of notices that does not grow."""
    return 0


async def test_search_texts_of_another_process_count_as_no_notice(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        before = store._parts.upkeep._notice_count()
        assert await other._reading.texts.make_some(10) == 1
        await store.snapshot(alice)
        assert store._parts.upkeep._notice_count() == before


async def test_all_batches_run_while_the_machine_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work = Work(5, 5, 1)
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, Supervisor())
    upkeep.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await work.done.wait()
    await upkeep.close()


@pytest.mark.parametrize(
    ("idle", "limit"), [(True, background.IDLE_BATCH_MESSAGES), (False, background.BUSY_BATCH_MESSAGES)]
)
async def test_batches_are_small_while_the_machine_is_busy(
    monkeypatch: pytest.MonkeyPatch, idle: bool, limit: int
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(CpuSample, "is_idle_until", lambda before, after: idle)
    work = Work(5, 1)
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, Supervisor())
    upkeep.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await work.done.wait()
    await upkeep.close()
    assert work.limits[:2] == [limit, limit]


async def test_batches_are_small_while_mail_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(CpuSample, "is_idle_until", lambda before, after: True)
    work, notices = Work(5, 1), itertools.count()
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, lambda: next(notices), Supervisor())
    upkeep.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await work.done.wait()
    await upkeep.close()
    assert work.limits[:2] == [background.BUSY_BATCH_MESSAGES, background.BUSY_BATCH_MESSAGES]


class RecordingTracing(NoTracing):
    """Records the names of the work, and polls."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def work(self, name: str, answers: tuple[type[Exception], ...] = ()) -> "RecordingTracing":
        self.names.append(name)
        return self

    def poll(self) -> "RecordingTracing":
        self.names.append("poll")
        return self


async def test_a_batch_is_a_poll_unless_work_is_known_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    supervisor, work = Supervisor(), Work(5, 0)
    supervisor.tracing = tracing = RecordingTracing()
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, supervisor)
    upkeep.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await work.done.wait()
        assert tracing.names == ["poll", "mailstore.upkeep.texts"]
        work.done.clear()
        upkeep.on_commit(DELIVERED)
        await work.done.wait()
    await upkeep.close()
    assert tracing.names[2] == "mailstore.upkeep.texts"


def test_overdue_work_gets_a_larger_share_of_the_time() -> None:
    upkeep = Upkeep(Work().make_texts, {"mailstore.upkeep.tombstones": Work().trim}, no_notices, Supervisor())
    upkeep._pending_since = time.monotonic()
    assert upkeep._pause(0.02) == pytest.approx(0.02 * 99, rel=0.01)
    upkeep._pending_since -= background.OVERDUE_SECONDS
    assert upkeep._pause(0.2) == pytest.approx(0.2 * 9, rel=0.01)
    assert upkeep._pause(60) == background.MAX_PAUSE_SECONDS
    assert upkeep._pause(0) == background.MEASURE_SECONDS


async def test_a_delivery_wakes_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work = Work(0)
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, Supervisor())
    upkeep.start()
    async with asyncio.timeout(WAIT_SECONDS):
        await work.done.wait()
        await asyncio.sleep(0.02)
        work.batches, work.done = [3], asyncio.Event()
        upkeep.on_commit(DELIVERED)
        await work.done.wait()
    await upkeep.close()


async def test_an_unavailable_database_is_retried_and_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    work = Work(StoreUnavailable("down"), StoreUnavailable("down"), 2)
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, Supervisor())
    with capture_logs() as logs:
        upkeep.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await work.done.wait()
        await upkeep.close()
    assert [entry["event"] for entry in logs] == ["upkeep.failed"]  # once, not with each retry


@pytest.mark.parametrize("error", [ValueError("a bug"), RecursionError(), MemoryError()])
async def test_a_bug_in_a_batch_is_logged_and_the_next_batches_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    work, supervisor = Work(error, error, 2), Supervisor(Backoff(0.001, 0.001, 60.0))
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, supervisor)
    with capture_logs() as logs:
        upkeep.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await work.done.wait()
        await upkeep.close()
    assert supervisor.failures == {"mailstore.upkeep": 2}
    assert [entry["exc_info"] for entry in logs] == [error, error]


async def test_a_bug_in_trimming_does_not_prevent_search_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(background, "FIRST_TRIM_SECONDS", -1.0)
    work, supervisor = Work(2), Supervisor(Backoff(0.001, 0.001, 60.0))

    async def trim() -> int:
        raise ValueError("a bug")

    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": trim}, no_notices, supervisor)
    with capture_logs():
        upkeep.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await work.done.wait()
        await upkeep.close()
    assert supervisor.failures == {"mailstore.upkeep": 1}


async def test_close_does_not_wait_for_a_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SETTLE_SECONDS", 0.0)
    work = Work(ValueError("a bug"))
    upkeep = Upkeep(
        work.make_texts,
        {"mailstore.upkeep.tombstones": work.trim},
        no_notices,
        Supervisor(Backoff(3600.0, 3600.0, 7200.0)),
    )
    with capture_logs():
        upkeep.start()
        async with asyncio.timeout(WAIT_SECONDS):
            await work.done.wait()
            await upkeep.close()


async def test_close_does_not_wait_for_an_idle_machine() -> None:
    work = Work(5)
    upkeep = Upkeep(work.make_texts, {"mailstore.upkeep.tombstones": work.trim}, no_notices, Supervisor())
    upkeep.start()
    await asyncio.sleep(0)
    started = time.monotonic()
    await upkeep.close()
    assert time.monotonic() - started < background.SETTLE_SECONDS / 2
    assert work.batches == [5]
