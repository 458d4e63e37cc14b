"""Collects garbage in the store once a day, in one of the processes that share the database.

The leader is the process that holds the maildrop lock of an account that no user has; the others retry regularly.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

import structlog

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ports import AccountStore
from relate_mailstore.erase import erase
from relate_mailstore.errors import MaildropInUse, StoreError
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from relate_supervisor import Supervisor, Tracing

# Garbage is rare and small, and finding it reads a row per message.
INTERVAL_SECONDS = 24 * 3600.0
# The mean delay until the first election and between retries, with jitter so that processes do not compete at once.
RETRY_SECONDS = 3600.0
# No user has it: account numbers start at 1.
LEADER_ACCOUNT = AccountId(0)

log = structlog.get_logger(__name__)


class HousekeepingStore(Protocol):
    """The store's methods that housekeeping calls."""

    async def collect_garbage(self) -> int:
        """Delete unreferenced rows; returns their number."""

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the maildrop lock of an account, across processes. Raises MaildropInUse."""


class MailAndAccounts(NamedTuple):
    """A store whose garbage collection includes mail that arrived for removed users."""

    store: SqlMailStore
    accounts: AccountStore

    async def collect_garbage(self) -> int:
        """Delete the mail of removed users and unreferenced rows; returns the number of messages and rows."""
        removed = [AccountId(user_id) for user_id in await self.accounts.removed_users()]
        late = [await erase(self.store, account_id) for account_id in removed]
        for account_id in removed:
            for of_account in (self.store.filters, self.store.labels):
                await of_account.erase(account_id)
        return sum(late) + await self.store.collect_garbage()

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """See `HousekeepingStore`."""
        return self.store.lock_maildrop(account_id, patience)


@asynccontextmanager
async def run_housekeeping(
    store: HousekeepingStore, supervisor: Supervisor, retry: float = RETRY_SECONDS, interval: float = INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """Run housekeeping in the background until the block ends. Times are in seconds."""
    task = supervisor.keep(
        "service.housekeeping", partial(_lead_when_elected, store, supervisor.tracing, retry, interval)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _lead_when_elected(store: HousekeepingStore, tracing: Tracing, retry: float, interval: float) -> None:
    while True:
        await asyncio.sleep(retry * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        try:
            async with AsyncExitStack() as leadership:
                with tracing.work("service.housekeeping.elect", (MaildropInUse,)):
                    await leadership.enter_async_context(store.lock_maildrop(LEADER_ACCOUNT))
                await _collect_regularly(store, tracing, interval)
        except MaildropInUse:
            log.debug("another process does the housekeeping")
        except (StoreError, AccountsUnavailable) as error:
            log.warning("housekeeping failed", error=str(error))


async def _collect_regularly(store: HousekeepingStore, tracing: Tracing, interval: float) -> None:
    while True:
        with tracing.work("service.housekeeping.collect"):
            removed = await store.collect_garbage()
        if removed:
            log.info("garbage collected", rows=removed)
        await asyncio.sleep(interval)
