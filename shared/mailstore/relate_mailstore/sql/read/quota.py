"""How much an account has, as of the last few seconds: for refusing a message before its content is sent.

Whether it fits is decided in its transaction. Nothing is refused without a query, as there may be room by now.
"""

import time
from collections import OrderedDict

from sqlalchemy import bindparam, func, select

from relate_mailstore.errors import OverQuota
from relate_mailstore.quota import check_quota
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.tables import mailboxes
from relate_mailstore.types import AccountId

FRESH_SECONDS = 5.0  # what other processes deliver is seen after that
CACHE_ACCOUNTS = 10_000  # about 2 MB

_USED = select(func.coalesce(func.sum(mailboxes.c.octets), 0)).where(mailboxes.c.account_id == bindparam("account_id"))


class Usage:
    """Octets by account, each with the time until which it is good."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[AccountId, tuple[int, float]] = OrderedDict()

    async def check(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit under `quota`."""
        if quota is None:
            return
        try:
            check_quota(await self._used(account_id), octets, quota)
        except OverQuota:
            check_quota(await self._look_up(account_id), octets, quota)

    async def ask(self, account_id: AccountId) -> int:
        """Octets that the account has now, by a query."""
        rows = await self._database.fetch(_USED, {"account_id": account_id})
        return int(rows[0][0])

    def add(self, account_id: AccountId, octets: int) -> None:
        """This process delivered so many octets more, or removed as many where they are negative."""
        if known := self._known.get(account_id):
            used, until = known
            self._known[account_id] = used + octets, until

    async def _used(self, account_id: AccountId) -> int:
        used, until = self._known.get(account_id, (0, 0.0))
        return used if time.monotonic() < until else await self._look_up(account_id)

    async def _look_up(self, account_id: AccountId) -> int:
        used = await self.ask(account_id)
        self._known[account_id] = used, time.monotonic() + FRESH_SECONDS
        if len(self._known) > CACHE_ACCOUNTS:
            self._known.popitem(last=False)
        return used
