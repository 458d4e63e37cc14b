"""Request coalescing: requests that are pending at the same time share one query.

Requests that arrive while a query runs are collected for the next one. So under load one statement serves many of them,
and no result is older than its request. A single request does not wait for others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from relate_mailstore.errors import StoreError

Request = TypeVar("Request")
Result = TypeVar("Result")


class Coalescer(Generic[Request, Result]):
    """Batches requests for `query`, which returns their results in order, or raises."""

    def __init__(self, query: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]) -> None:
        self._query = query
        self._pending: list[tuple[Request, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, request: Request) -> Result:
        """The result of one request. Raises what `query` raised. A request that is cancelled in time is not sent."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append((request, result))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="mailstore-coalescer")
        return await result

    async def close(self) -> None:
        """Wait for the running query, which uses the database even if its callers were cancelled."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while batch := [one for one in self._pending if not one[1].done()]:
                self._pending = []
                await self._run_batch(batch)
        finally:
            self._running = None

    async def _run_batch(self, batch: Sequence[tuple[Request, asyncio.Future[Result]]]) -> None:
        try:
            results = list(zip(batch, await self._query([request for request, _ in batch]), strict=True))
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(_copy(error))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in results:
            if not future.done():
                future.set_result(result)


def _copy(error: BaseException) -> BaseException:
    """A copy per caller, because raising an exception changes its traceback."""
    return type(error)(*error.args) if isinstance(error, StoreError) else error
