"""Stores on databases for the contract suite, each with an engine of its own, like those of a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[MailStore]:
    """Open a store on the migrated database at `url`."""
    engine = open_engine(url)
    try:
        async with open_store(engine) as store:
            yield store
    finally:
        await engine.dispose()
