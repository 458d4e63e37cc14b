import asyncio

import pytest

from relate_accounts.cache import CacheGroup, SharedLookups, TimedCache
from tests.unit.accounts.clocks import HandClock


def test_a_value_expires_relative_to_the_start_of_its_query(clock: HandClock) -> None:
    cache = TimedCache[str, int](30, 10, clock)
    started = clock()
    clock.advance(10)
    cache.put("a", 1, started)
    clock.advance(19.9)
    assert cache.get("a") == 1
    clock.advance(0.1)
    assert cache.get("a") is None
    assert len(cache) == 0


def test_the_least_recently_used_value_is_evicted(clock: HandClock) -> None:
    cache = TimedCache[str, int](30, 2, clock)
    cache.put("a", 1, clock())
    cache.put("b", 2, clock())
    cache.get("a")
    cache.put("c", 3, clock())
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_the_memory_of_a_group_is_that_of_the_entries_of_its_caches(clock: HandClock) -> None:
    group = CacheGroup(1_000)
    one, other = (group.add(TimedCache[str, int](30, 10, clock), octets) for octets in (100, 10))
    for key in "abc":
        one.put(key, 1, clock())
    other.put("a", 2, clock())
    assert (group.octets, group.limit_octets) == (310, 1_000)


async def test_concurrent_requests_share_one_lookup() -> None:
    lookups = SharedLookups[str, int]()
    calls, gate = 0, asyncio.Event()

    async def look_up() -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return 7

    waiting = [asyncio.create_task(lookups.share("a", look_up)) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [7] * 50
    assert calls == 1
    await lookups.share("a", look_up)
    assert calls == 2


async def test_cancelling_one_waiter_does_not_cancel_the_lookup() -> None:
    lookups = SharedLookups[str, int]()
    gate = asyncio.Event()

    async def look_up() -> int:
        await gate.wait()
        return 7

    first, second = (asyncio.create_task(lookups.share("a", look_up)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await second == 7
    assert first.cancelled()


async def test_all_waiters_get_an_exception_which_is_not_cached() -> None:
    lookups = SharedLookups[str, int]()

    async def fail() -> int:
        raise ConnectionError

    async def succeed() -> int:
        return 7

    outcomes = await asyncio.gather(*(lookups.share("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 3
    assert await lookups.share("a", succeed) == 7


async def test_an_exception_without_waiters_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lookups = SharedLookups[str, int]()
    gate = asyncio.Event()

    async def fail() -> int:
        await gate.wait()
        raise ConnectionError

    waiting = asyncio.create_task(lookups.share("a", fail))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not caplog.records
