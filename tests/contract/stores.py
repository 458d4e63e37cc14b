"""Stores on databases for the contract suite, each with an engine of its own, like those of a process."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import SqlMailStore, open_store


@asynccontextmanager
async def opened(url: str, clock: Callable[[], float] = time.time) -> AsyncIterator[SqlMailStore]:
    """Open a store on the migrated database at `url`."""
    engine = open_engine(url)
    try:
        async with open_store(engine, clock=clock) as store:
            yield store
    finally:
        await engine.dispose()
