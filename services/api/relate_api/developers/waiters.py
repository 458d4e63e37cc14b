"""The requests that wait for a message: their limit, and their end when the process stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import HTTPException


class Waiters:
    """The waiting requests of a process, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._deadlines: set[asyncio.Timeout] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._deadlines)

    @asynccontextmanager
    async def waiting(self, seconds: float) -> AsyncIterator[None]:
        """Wait inside the block, at most so long. Raises HTTPException with 404 after that, 503 beyond the limit."""
        if self._closed or len(self) >= self._limit:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait for messages")
        try:
            async with asyncio.timeout(seconds) as deadline:
                self._deadlines.add(deadline)
                try:
                    yield
                finally:
                    self._deadlines.discard(deadline)
        except TimeoutError:
            if self._closed:
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server stops") from None
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such message arrived in time") from None

    def close(self) -> None:
        """End all waits, and admit no others."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            deadline.reschedule(now)
