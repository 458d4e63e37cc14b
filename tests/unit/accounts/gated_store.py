"""A memory store that counts what it is asked, can be made to wait, and can be made to fail."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import ApiKey, Revoked, User


class GatedStore(MemoryAccountStore):
    """`calls` counts queries, `asked` is set by each; while `gate` is not set they wait, while `broken` they fail."""

    def __init__(self, now: Now = utc_now) -> None:
        super().__init__(now=now)
        self.calls: Counter[str] = Counter()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.since: datetime | None = None  # what `revoked_since` was asked last

    async def user_by_address(self, address: str) -> User:
        await self._pass("user_by_address")
        return await super().user_by_address(address)

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        await self._pass("keys_by_prefix")
        return await super().keys_by_prefix(prefix)

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        await self._pass("touch_keys")
        await super().touch_keys(last_used)

    async def has_domain(self, domain: str) -> bool:
        await self._pass("has_domain")
        return await super().has_domain(domain)

    async def revoked_since(self, moment: datetime) -> Revoked:
        self.since = moment
        await self._pass("revoked_since")
        return await super().revoked_since(moment)

    async def _pass(self, query: str) -> None:
        self.calls[query] += 1
        self.asked.set()
        await self.gate.wait()
        if self.broken:
            raise AccountsUnavailable("the database did not answer")
