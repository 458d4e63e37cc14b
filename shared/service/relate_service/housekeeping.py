"""Keeps the store tidy in the background: once a day, by one process of all that share the database.

That process holds a maildrop that is nobody's for as long as it lives; the others ask for it again from time to time.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

import structlog

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ports import AccountStore
from relate_mailstore.erase import erase
from relate_mailstore.errors import MaildropInUse, StoreError
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from relate_supervisor import Supervisor

# What is left behind is rare and small, and looking for it reads a row of every message.
INTERVAL_SECONDS = 24 * 3600.0
# Until the first time, and until whoever was not let do it asks again; on the average, lest all come at once.
RETRY_SECONDS = 3600.0
# Accounts are numbered from 1.
LEADER_ACCOUNT = AccountId(0)

log = structlog.get_logger(__name__)


class HousekeepingStore(Protocol):
    """What is asked of a store here."""

    async def collect_garbage(self) -> int:
        """Remove what nobody has any more; how many rows that was."""

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold a maildrop, over all processes. Raises MaildropInUse."""


class MailAndAccounts(NamedTuple):
    """The store as it is tidied: mail that came for a user after the removal goes first."""

    store: SqlMailStore
    accounts: AccountStore

    async def collect_garbage(self) -> int:
        """Remove what no user has any more; how many messages and rows that was."""
        late = [await erase(self.store, AccountId(user_id)) for user_id in await self.accounts.removed_users()]
        return sum(late) + await self.store.collect_garbage()

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold a maildrop, over all processes. Raises MaildropInUse."""
        return self.store.lock_maildrop(account_id, patience)


@asynccontextmanager
async def run_housekeeping(
    store: HousekeepingStore, supervisor: Supervisor, pause: float = RETRY_SECONDS, every: float = INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """The store is kept tidy inside."""
    task = supervisor.keep("service.housekeeping", partial(_lead_when_elected, store, pause, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _lead_when_elected(store: HousekeepingStore, pause: float, every: float) -> None:
    while True:
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nobody gains by guessing it
        try:
            async with store.lock_maildrop(LEADER_ACCOUNT):
                await _collect_regularly(store, every)
        except MaildropInUse:
            log.debug("another process keeps the store tidy")
        except (StoreError, AccountsUnavailable) as error:
            log.warning("the store could not be tidied", error=str(error))


async def _collect_regularly(store: HousekeepingStore, every: float) -> None:
    while True:
        if removed := await store.collect_garbage():
            log.info("removed what nobody has any more", rows=removed)
        await asyncio.sleep(every)
