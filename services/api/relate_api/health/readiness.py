"""Readiness check with a cached result: the endpoint is public, so its requests share one query per second."""

import asyncio
import time
from collections.abc import Callable

from relate_mailstore.ports import MailStore

# Lifetime of a cached result; probes run every few seconds.
FRESH_SECONDS = 1.0


class Readiness:
    """The latest readiness query; concurrent requests are coalesced into it."""

    def __init__(self, store: MailStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._query: asyncio.Task[None] | None = None
        self._began = 0.0

    async def check(self) -> None:
        """Return if the database answers. Raises StoreUnavailable."""
        now = self._clock()
        if self._query is None or (self._query.done() and now - self._began >= FRESH_SECONDS):
            self._began = now
            self._query = asyncio.create_task(self._store.ping(), name="readiness")
            self._query.add_done_callback(_retrieve)
        await asyncio.shield(self._query)


def _retrieve(query: asyncio.Task[None]) -> None:
    # If all requests were cancelled, nothing awaits the task, and asyncio would log its exception.
    if not query.cancelled():
        query.exception()
