"""Calls for the same key share one task."""

import asyncio

import pytest

from relate_outbound.dns.shared_calls import SharedCalls


class Source:
    """A call that ends when the test releases it."""

    def __init__(self) -> None:
        self.calls = 0
        self.started = asyncio.Event()
        self.released = asyncio.Event()

    async def read(self) -> int:
        self.calls += 1
        self.started.set()
        await self.released.wait()
        return self.calls


async def test_pending_calls_for_a_key_are_made_once() -> None:
    source, shared = Source(), SharedCalls[str, int]()
    callers = [asyncio.create_task(shared.run("a", source.read)) for _ in range(3)]
    await source.started.wait()
    source.released.set()
    assert await asyncio.gather(*callers) == [1, 1, 1]
    assert await shared.run("a", source.read) == 2


async def test_calls_for_other_keys_are_separate() -> None:
    source, shared = Source(), SharedCalls[str, int]()
    source.released.set()
    assert list(await asyncio.gather(shared.run("a", source.read), shared.run("b", source.read))) == [1, 2]


async def test_a_cancelled_caller_leaves_the_call_to_the_others() -> None:
    source, shared = Source(), SharedCalls[str, int]()
    first = asyncio.create_task(shared.run("a", source.read))
    await source.started.wait()
    second = asyncio.create_task(shared.run("a", source.read))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.released.set()
    assert await second == 1


async def test_an_exception_reaches_every_caller() -> None:
    shared = SharedCalls[str, int]()

    async def fail() -> int:
        raise LookupError

    results = await asyncio.gather(*(shared.run("a", fail) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError, LookupError]


async def test_close_cancels_the_pending_calls() -> None:
    source, shared = Source(), SharedCalls[str, int]()
    caller = asyncio.create_task(shared.run("a", source.read))
    await source.started.wait()
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
