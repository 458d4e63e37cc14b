"""The requests that wait for a message: their limit, and their end when the client or the process leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import HTTPException
from starlette.types import Receive


class Waiters:
    """The waiting requests of a process, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._deadlines: set[asyncio.Timeout] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._deadlines)

    @asynccontextmanager
    async def waiting(self, seconds: float, receive: Receive) -> AsyncIterator[None]:
        """Wait inside the block, at most so long, and not after the client has disconnected, as `receive` tells.

        Raises HTTPException with 404 after that, 503 beyond the limit.
        """
        if not seconds:
            raise _not_found()
        if self._closed or len(self) >= self._limit:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait for messages")
        try:
            async with asyncio.timeout(seconds) as deadline, _until_disconnect(receive, deadline):
                self._deadlines.add(deadline)
                try:
                    yield
                finally:
                    self._deadlines.discard(deadline)
        except TimeoutError:
            if self._closed:
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server stops") from None
            raise _not_found() from None

    def close(self) -> None:
        """End all waits, and admit no others."""
        self._closed = True
        for deadline in self._deadlines:
            _expire(deadline)


@asynccontextmanager
async def _until_disconnect(receive: Receive, deadline: asyncio.Timeout) -> AsyncIterator[None]:
    """Let the deadline expire when the client disconnects inside the block, because no client reads the answer then."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        _expire(deadline)

    watching = asyncio.create_task(watch(), name="wait disconnect")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


def _expire(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():  # its block may not have ended yet
        deadline.reschedule(asyncio.get_running_loop().time())


def _not_found() -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, "no such message arrived in time")
