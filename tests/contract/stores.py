"""How the contract suite gets at a store on a database: as a process would, with an engine of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[MailStore]:
    """A store on the migrated database at `url`."""
    engine = open_engine(url)
    try:
        async with open_store(engine) as store:
            yield store
    finally:
        await engine.dispose()
