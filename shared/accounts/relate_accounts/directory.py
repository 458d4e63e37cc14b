"""Maps addresses to users, with a cache in front of the store because SMTP resolves every recipient.

The lookup order is: the address, the address without `+detail` (RFC 5233), the catch-all of its domain, `*@domain`. A
catch-all gets no mail for a removed user. `postmaster` of a local domain (RFC 5321 §4.5.1) has no default recipient:
an administrator gives the address to a user.
"""

import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from relate_accounts.addresses import (
    canonical_address,
    canonical_domain,
    catch_all,
    domain_of,
    find_canonical,
    without_detail,
)
from relate_accounts.cache import CacheGroup, SharedLookups, TimedCache
from relate_accounts.clock import Monotonic
from relate_accounts.errors import InvalidAddress, UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.types import Recipient, UserId
from relate_config.cache_budget import CACHE_OCTETS, share_octets

KNOWN_SECONDS = 30.0  # as the authenticator's verdicts
UNKNOWN_SECONDS = 5.0  # a new address should receive mail soon
# Of a cache entry, measured with tracemalloc.
RECIPIENT_OCTETS = 450
FACT_OCTETS = 300
UNKNOWN_OCTETS = 250

V = TypeVar("V")


class CachedDirectory:
    """A `Directory` with a cache. Invalid addresses belong to no user."""

    def __init__(
        self, store: AccountStore, clock: Monotonic = time.monotonic, *, cache_octets: int = CACHE_OCTETS
    ) -> None:
        limit_octets = share_octets("directory", cache_octets)
        size = limit_octets // (RECIPIENT_OCTETS + FACT_OCTETS + 2 * UNKNOWN_OCTETS)
        self._store = store
        group = CacheGroup(limit_octets)
        self.caches = {"directory": group}
        self._recipients = _Answers[Recipient](group, RECIPIENT_OCTETS, size, clock)
        # Whether a domain is local, and whether a user has proved an address; no domain has the space of those keys.
        self._facts = _Answers[bool](group, FACT_OCTETS, size, clock)

    async def resolve(self, address: str) -> Recipient | None:
        """See `ports.Directory`. The recipient's address is the verified one that matched."""
        try:
            canonical = canonical_address(address)
        except InvalidAddress:
            return None
        return await self._recipients.get(canonical, partial(self._find, canonical))

    async def owns(self, user_id: UserId, address: str) -> bool:
        """See `ports.Directory`. A user may send as every address whose mail reaches them, and as those they proved.

        A proved address counts only while its domain is not local: there an administrator decides whose it is.
        """
        recipient = await self.resolve(address)
        if recipient is not None:
            return recipient.user_id == user_id
        canonical = find_canonical(address)
        if canonical is None or await self.is_local(domain_of(canonical)):
            return False
        proved = await self._facts.get(f"{user_id} {canonical}", partial(self._has_proved, user_id, canonical))
        return proved is not None

    async def is_local(self, domain: str) -> bool:
        """See `ports.Directory`."""
        try:
            canonical = canonical_domain(domain)
        except InvalidAddress:
            return False
        return await self._facts.get(canonical, partial(self._has_domain, canonical)) is not None

    async def _find(self, address: str) -> Recipient | None:
        for known in filter(None, (address, without_detail(address))):
            if recipient := await self._owner(known):
                return recipient
        return await self._find_catch_all(address)

    async def _find_catch_all(self, address: str) -> Recipient | None:
        catching = catch_all(address)
        # Cached under its own key, because most unknown addresses are guesses, and a domain's share one catch-all.
        recipient = await self._recipients.get(catching, partial(self._owner, catching))
        if recipient is None:
            return None
        for known in filter(None, (address, without_detail(address))):
            if await self._store.is_blocked(known):
                return None
        return replace(recipient, address=address)

    async def _owner(self, address: str) -> Recipient | None:
        try:
            user = await self._store.user_by_address(address)
        except UserNotFound:
            return None
        return Recipient(user.id, address, user.quota)

    async def _has_proved(self, user_id: UserId, address: str) -> bool | None:
        return await self._store.profiles.has_proved(user_id, address) or None

    async def _has_domain(self, domain: str) -> bool | None:
        return await self._store.has_domain(domain) or None


class _Answers(Generic[V]):
    """A cache of one kind of lookup, which also caches None, for a shorter time."""

    def __init__(self, group: CacheGroup, entry_octets: int, size: int, clock: Monotonic) -> None:
        self._clock = clock
        self._group = group
        self._known = group.add(TimedCache[str, V](KNOWN_SECONDS, size, clock), entry_octets)
        self._unknown = group.add(TimedCache[str, bool](UNKNOWN_SECONDS, size, clock), UNKNOWN_OCTETS)
        self._running = SharedLookups[str, V | None]()

    async def get(self, key: str, look_up: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        known = self._known.get(key)
        if known is not None or self._unknown.get(key):
            self._group.hits += 1
            return known
        self._group.misses += 1
        return await self._running.share(key, partial(self._look_up, key, look_up))

    async def _look_up(self, key: str, look_up: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        started = self._clock()
        value = await look_up()
        if value is None:
            self._unknown.put(key, True, started)
        else:
            self._known.put(key, value, started)
        return value
