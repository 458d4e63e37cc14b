"""Concurrent requests share a query; each gets its own result, of a query that began after the request."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.coalesce import Coalescer


class Database:
    """Doubles numbers once `may_reply` is set, and records the batches."""

    def __init__(self) -> None:
        self.batches: list[Sequence[int]] = []
        self.may_reply = asyncio.Event()
        self.is_down = False

    async def double(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(numbers)
        await self.may_reply.wait()
        if self.is_down:
            raise StoreUnavailable("down")
        return [2 * number for number in numbers]


async def request(coalescer: Coalescer[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(coalescer(number)) for number in numbers]
    await asyncio.sleep(0)  # the requests are pending
    await asyncio.sleep(0)  # and their query runs
    return tasks


async def test_requests_during_a_query_share_the_next_one() -> None:
    database = Database()
    coalescer = Coalescer(database.double)
    tasks = [*await request(coalescer, 1), *await request(coalescer, 2, 3), *await request(coalescer, 4)]
    database.may_reply.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert database.batches == [[1], [2, 3, 4]]
    assert await coalescer(5) == 10


async def test_cancelled_request_is_not_sent() -> None:
    database = Database()
    coalescer = Coalescer(database.double)
    tasks = [*await request(coalescer, 1), *await request(coalescer, 2, 3)]
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    database.may_reply.set()
    assert await tasks[2] == 6
    assert database.batches == [[1], [3]]


async def test_each_request_gets_its_own_copy_of_the_error() -> None:
    database = Database()
    coalescer = Coalescer(database.double)
    tasks = await request(coalescer, 1, 2)
    database.is_down = True
    database.may_reply.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable, StoreUnavailable]
    assert errors[0] is not errors[1]
    with pytest.raises(StoreUnavailable):
        await coalescer(3)
    database.is_down = False
    assert await coalescer(3) == 6


async def test_wrong_number_of_results_fails_its_batch_only() -> None:
    async def echo(numbers: Sequence[int]) -> Sequence[int]:
        return [] if numbers[0] == 1 else numbers

    coalescer = Coalescer(echo)
    first, second = await request(coalescer, 1), await request(coalescer, 2)
    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="shorter"):
            await first[0]
        assert await second[0] == 2


async def test_a_query_runs_in_the_context_of_its_first_caller() -> None:
    caller: ContextVar[str] = ContextVar("caller")
    seen: list[str] = []
    may_reply = asyncio.Event()

    async def query(names: Sequence[str]) -> Sequence[str]:
        seen.append(caller.get())
        await may_reply.wait()
        return names

    async def call(name: str) -> None:
        caller.set(name)
        await coalescer(name)

    coalescer = Coalescer(query)
    calls = [asyncio.create_task(call(name)) for name in ("first", "second", "third")]
    for _ in range(2):  # the calls are pending, and a query runs
        await asyncio.sleep(0)
    calls.append(asyncio.create_task(call("late")))
    await asyncio.sleep(0)
    may_reply.set()
    await asyncio.gather(*calls)
    assert seen == ["first", "late"]
