"""Request coalescing: requests that are pending at the same time share one query.

Requests that arrive while a query runs are collected for the next one. So under load one statement serves many of them,
and no result is older than its request. A single request does not wait for others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Generic, NamedTuple, TypeVar

from relate_mailstore.errors import StoreError

Request = TypeVar("Request")
Result = TypeVar("Result")


class _Pending(NamedTuple, Generic[Request, Result]):
    request: Request
    result: asyncio.Future[Result]
    context: Context  # of the caller


class Coalescer(Generic[Request, Result]):
    """Batches requests for `query`, which returns their results in order, or raises.

    A query runs in the context of its first caller, so that its span belongs to a caller that waits for it.
    """

    def __init__(self, query: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]) -> None:
        self._query = query
        self._pending: list[_Pending[Request, Result]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, request: Request) -> Result:
        """The result of one request. Raises what `query` raised. A request that is cancelled in time is not sent."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(request, result, copy_context()))
        if self._running is None:
            self._start()
        return await result

    async def close(self) -> None:
        """Wait for the running queries, which use the database even if their callers were cancelled."""
        while self._running is not None:
            await asyncio.wait([self._running])

    def _start(self) -> None:
        context = self._pending[0].context
        self._running = asyncio.create_task(self._run(), name="mailstore-coalescer", context=context)

    async def _run(self) -> None:
        self._pending, pending = [], self._pending
        try:
            if batch := [one for one in pending if not one.result.done()]:
                await self._run_batch(batch)
        finally:
            self._running = None
            if self._pending:
                self._start()

    async def _run_batch(self, batch: Sequence[_Pending[Request, Result]]) -> None:
        try:
            results = list(zip(batch, await self._query([one.request for one in batch]), strict=True))
        except BaseException as error:
            for one in batch:
                if not one.result.done():
                    one.result.set_exception(_copy(error))
            if not isinstance(error, Exception):
                raise
            return
        for one, result in results:
            if not one.result.done():
                one.result.set_result(result)


def _copy(error: BaseException) -> BaseException:
    """A copy per caller, because raising an exception changes its traceback."""
    return type(error)(*error.args) if isinstance(error, StoreError) else error
