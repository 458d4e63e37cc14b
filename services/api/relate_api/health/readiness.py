"""Whether the database answers. Anybody may ask, so it is looked up at most once a second, however many ask."""

import asyncio
import time
from collections.abc import Callable

from relate_mailstore.ports import MailStore

# An answer is this old at the most: health checks come every few seconds.
FRESH_SECONDS = 1.0


class Readiness:
    """The last look at the database, shared by all who ask meanwhile."""

    def __init__(self, store: MailStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._look: asyncio.Task[None] | None = None
        self._looked = 0.0

    async def check(self) -> None:
        """Return if the database answers. Raises StoreUnavailable."""
        stale = self._look is None or (self._look.done() and self._clock() - self._looked >= FRESH_SECONDS)
        if self._look is None or stale:
            self._looked = self._clock()
            self._look = asyncio.create_task(self._store.ping(), name="readiness")
            self._look.add_done_callback(_retrieve)
        await asyncio.shield(self._look)


def _retrieve(look: asyncio.Task[None]) -> None:
    # Those who asked may all be gone by now: asyncio would log an exception that nobody was told.
    if not look.cancelled():
        look.exception()
