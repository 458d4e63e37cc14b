import asyncio
from collections.abc import Mapping
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from relate_accounts import last_used as module
from relate_accounts.last_used import MAX_PENDING_KEYS, LastUsedWriter
from relate_accounts.types import ApiKey
from relate_supervisor import Backoff, Supervisor
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.gated_store import GatedStore


async def one_key(store: GatedStore) -> ApiKey:
    user = await store.add_user("alice@example.org")
    return (await store.create_key(user.id, "phone", [])).key


async def reload_key(store: GatedStore, key: ApiKey) -> ApiKey:
    return (await store.keys(key.user_id))[0]


async def test_uses_are_written_as_a_batch(store: GatedStore, last_used: LastUsedWriter, clock: HandClock) -> None:
    key = await one_key(store)
    for _ in range(100):
        clock.advance(0.01)
        last_used.note(key.id)
    await last_used.flush()
    await last_used.flush()
    assert (await reload_key(store, key)).last_used == clock.now()
    assert store.calls["touch_keys"] == 1


async def test_uses_are_written_in_the_background(store: GatedStore, clock: HandClock) -> None:
    key = await one_key(store)
    written = asyncio.Event()

    class Signalling(LastUsedWriter):
        async def flush(self) -> None:
            await super().flush()
            written.set()

    writer = Signalling(store, interval=0.001, now=clock.now)
    writer.note(key.id)
    writer.start()
    await written.wait()
    assert (await reload_key(store, key)).last_used == clock.now()
    await writer.stop()


async def test_stop_writes_what_is_pending_without_waiting(store: GatedStore, last_used: LastUsedWriter) -> None:
    key = await one_key(store)
    last_used.start()
    last_used.note(key.id)
    async with asyncio.timeout(1):
        await last_used.stop()
    assert (await reload_key(store, key)).last_used is not None


async def test_stop_without_start_writes_nothing(store: GatedStore, last_used: LastUsedWriter) -> None:
    key = await one_key(store)
    last_used.note(key.id)
    await last_used.stop()
    await last_used.stop()
    assert (await reload_key(store, key)).last_used is None


async def test_a_failed_write_is_logged_and_retried_with_the_newest_time(
    store: GatedStore, last_used: LastUsedWriter, clock: HandClock
) -> None:
    key = await one_key(store)
    last_used.note(key.id)
    store.broken = True
    with capture_logs() as logs:
        await last_used.flush()
    assert [(log["log_level"], log["keys"], log["error"]) for log in logs] == [("warning", 1, "AccountsUnavailable")]
    clock.advance(1)
    last_used.note(key.id)
    store.broken = False
    await last_used.flush()
    assert (await reload_key(store, key)).last_used == clock.now()


async def test_a_database_that_hangs_does_not_delay_the_stop(
    store: GatedStore, last_used: LastUsedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_SECONDS", 0.01)
    last_used.note((await one_key(store)).id)
    store.gate.clear()
    last_used.start()
    with capture_logs() as logs:
        await last_used.stop()
    assert [log["event"] for log in logs] == ["last use of keys not written at stop"]


async def test_pending_uses_are_bounded(store: GatedStore, last_used: LastUsedWriter) -> None:
    for key_id in range(MAX_PENDING_KEYS + 100):
        last_used.note(key_id)
    assert len(last_used._pending) == MAX_PENDING_KEYS
    store.broken = True
    store.gate.clear()
    with capture_logs():
        flushing = asyncio.create_task(last_used.flush())
        await store.called.wait()
        for key_id in range(100):
            last_used.note(-key_id)
        store.gate.set()
        await flushing
    assert len(last_used._pending) == MAX_PENDING_KEYS


async def test_a_bug_in_a_write_loses_no_uses_and_the_writer_continues(store: GatedStore, clock: HandClock) -> None:
    key, fail = await one_key(store), iter([True, True])
    written = asyncio.Event()

    class Failing(GatedStore):
        async def touch_keys(self, used: Mapping[int, datetime]) -> None:
            if next(fail, False):
                raise ValueError("a bug")
            await store.touch_keys(used)
            written.set()

    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    writer = LastUsedWriter(Failing(), 0.001, clock.now, supervisor)
    writer.note(key.id)
    with capture_logs():
        writer.start()
        async with asyncio.timeout(10):
            await written.wait()
        await writer.stop()
    assert (await reload_key(store, key)).last_used == clock.now()
    assert supervisor.failures == {"accounts.last_used": 2}
