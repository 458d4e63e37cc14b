"""Questions to the database that wait at the same time are asked by one statement.

While one is under way those that come meanwhile wait for it: so under load a statement serves many, and none has an
answer from before it was asked. Whoever is alone waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from relate_mailstore.errors import StoreError

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Gathered(Generic[Question, Answer]):
    """`ask` answers several questions, in their order, or raises."""

    def __init__(self, ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, question: Question) -> Answer:
        """The answer. Raises what `ask` raised. Who is cancelled before it is asked, is not asked for."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._keep_asking(), name="mailstore-gathered")
        return await answer

    async def close(self) -> None:
        """Wait for what is under way: those who asked may have gone, and it uses the database."""
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def _keep_asking(self) -> None:
        try:
            while waiting := [one for one in self._waiting if not one[1].done()]:
                self._waiting = []
                await self._settle(waiting)
        finally:
            self._asking = None

    async def _settle(self, waiting: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = list(zip(waiting, await self._ask([question for question, _ in waiting]), strict=True))
        except BaseException as error:
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(_copy(error))
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), given in answers:
            if not answer.done():
                answer.set_result(given)


def _copy(error: BaseException) -> BaseException:
    """One for each who waits: raising an exception writes to it."""
    return type(error)(*error.args) if isinstance(error, StoreError) else error
