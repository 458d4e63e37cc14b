"""The octets that accounts use, cached for a few seconds: a message over quota is refused before its content is sent.

The delivery's transaction decides whether a message fits. A refusal is never based on a cached value, because mail may
have been removed since.
"""

import time
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select

from relate_mailstore.errors import OverQuota
from relate_mailstore.quota import check_quota
from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.tables import mailboxes
from relate_mailstore.types import AccountId

FRESH_SECONDS = 5.0  # deliveries of other processes are seen after that time
USAGE_OCTETS = 320  # of an entry, measured with tracemalloc

_USED = select(func.coalesce(func.sum(mailboxes.c.octets), 0)).where(mailboxes.c.account_id == bindparam("account_id"))


class _Usage(NamedTuple):
    octets: int
    expires: float  # time.monotonic()


class UsageCache:
    """The octets that each account uses, for FRESH_SECONDS."""

    def __init__(self, database: Database, caches: Caches) -> None:
        self._database = database
        self._cache = caches.add("quota", _weigh)

    async def check(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit under `quota`."""
        if quota is None:
            return
        try:
            check_quota(await self._cached(account_id), octets, quota)
        except OverQuota:
            check_quota(await self._read(account_id), octets, quota)

    async def query(self, account_id: AccountId) -> int:
        """The octets that the account uses now, from the database."""
        rows = await self._database.fetch(_USED, {"account_id": account_id})
        return int(rows[0][0])

    def on_commit(self, committed: Committed[Any]) -> None:
        """Apply a commit of this process to the cached usage."""
        for delta in committed.deltas:
            account_id = delta.mailbox.account_id
            if usage := self._cache.peek(account_id):
                self._cache.put(account_id, usage._replace(octets=usage.octets + delta.octets))

    async def _cached(self, account_id: AccountId) -> int:
        usage = self._cache.get(account_id)
        return usage.octets if usage and time.monotonic() < usage.expires else await self._read(account_id)

    async def _read(self, account_id: AccountId) -> int:
        octets = await self.query(account_id)
        self._cache.put(account_id, _Usage(octets, time.monotonic() + FRESH_SECONDS))
        return octets


def _weigh(_: _Usage) -> int:
    return USAGE_OCTETS
