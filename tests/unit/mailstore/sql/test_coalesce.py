"""Questions that wait at the same time are asked together; each has its answer, from after it was asked."""

import asyncio
from collections.abc import Sequence

import pytest

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.coalesce import Coalescer


class Database:
    """Doubles numbers, when it is let; keeps what it was asked, statement by statement."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.may_answer = asyncio.Event()
        self.down = False

    async def double(self, questions: Sequence[int]) -> Sequence[int]:
        self.asked.append(questions)
        await self.may_answer.wait()
        if self.down:
            raise StoreUnavailable("down")
        return [2 * question for question in questions]


async def ask(gathered: Coalescer[int, int], *questions: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(gathered(question)) for question in questions]
    await asyncio.sleep(0)  # they wait now
    await asyncio.sleep(0)  # and are asked
    return tasks


async def test_what_comes_while_one_is_under_way_goes_together() -> None:
    database = Database()
    gathered = Coalescer(database.double)
    tasks = [*await ask(gathered, 1), *await ask(gathered, 2, 3), *await ask(gathered, 4)]
    database.may_answer.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert database.asked == [[1], [2, 3, 4]]
    assert await gathered(5) == 10


async def test_who_goes_before_being_asked_for_is_not_asked_for() -> None:
    database = Database()
    gathered = Coalescer(database.double)
    tasks = [*await ask(gathered, 1), *await ask(gathered, 2, 3)]
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    database.may_answer.set()
    assert await tasks[2] == 6
    assert database.asked == [[1], [3]]


async def test_trouble_is_told_to_each_and_ends_with_it() -> None:
    database = Database()
    gathered = Coalescer(database.double)
    tasks = await ask(gathered, 1, 2)
    database.down = True
    database.may_answer.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable, StoreUnavailable]
    assert errors[0] is not errors[1]
    with pytest.raises(StoreUnavailable):
        await gathered(3)
    database.down = False
    assert await gathered(3) == 6


async def test_a_wrong_number_of_answers_is_told_to_each_and_others_are_asked_for() -> None:
    async def answer(questions: Sequence[int]) -> Sequence[int]:
        return [] if questions[0] == 1 else questions

    gathered = Coalescer(answer)
    first, second = await ask(gathered, 1), await ask(gathered, 2)
    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="shorter"):
            await first[0]
        assert await second[0] == 2
