"""A memory store that counts its queries, and can block or fail them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import ApiKey, Revoked, User


class GatedStore(MemoryAccountStore):
    """`calls` counts queries, each of which sets `called`; they wait until `gate` is set, and raise while `broken`."""

    def __init__(self, now: Now = utc_now) -> None:
        super().__init__(now=now)
        self.calls: Counter[str] = Counter()
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.since: datetime | None = None  # the last argument of `revoked_since`

    async def user_by_address(self, address: str) -> User:
        await self._query("user_by_address")
        return await super().user_by_address(address)

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        await self._query("keys_by_prefix")
        return await super().keys_by_prefix(prefix)

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        await self._query("touch_keys")
        await super().touch_keys(last_used)

    async def has_domain(self, domain: str) -> bool:
        await self._query("has_domain")
        return await super().has_domain(domain)

    async def revoked_since(self, moment: datetime) -> Revoked:
        self.since = moment
        await self._query("revoked_since")
        return await super().revoked_since(moment)

    async def _query(self, name: str) -> None:
        self.calls[name] += 1
        self.called.set()
        await self.gate.wait()
        if self.broken:
            raise AccountsUnavailable("the database did not answer")
