"""Whose addresses are they? A cache in front of the store, since the SMTP server asks for every recipient.

An address is looked up as it is, then without its `+detail` (RFC 5233), then as its domain's catch-all, `*@domain`,
which does not get mail for a removed user. `postmaster` of a local domain (RFC 5321 §4.5.1) is an address like any
other, to be given to a user: which one it should reach cannot be guessed.
"""

import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from relate_accounts.addresses import canonical_address, canonical_domain, catch_all, without_detail
from relate_accounts.cache import SharedLookups, TimedCache
from relate_accounts.clock import Monotonic
from relate_accounts.errors import InvalidAddress, UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.types import Recipient, UserId

KNOWN_SECONDS = 30.0  # as long as a verdict of the authenticator
UNKNOWN_SECONDS = 5.0  # who was just given an address should soon receive mail
MAX_CACHED_ANSWERS = 10_000  # answers of each kind, about 0.5 kB each

V = TypeVar("V")


class CachedDirectory:
    """Answers from the cache, else from the store. What is no address belongs to nobody."""

    def __init__(self, store: AccountStore, clock: Monotonic = time.monotonic) -> None:
        self._store = store
        self._recipients = _Answers[Recipient](clock)
        self._domains = _Answers[bool](clock)

    async def resolve(self, address: str) -> Recipient | None:
        """See `ports.Directory`. The recipient's address is the verified one that matched."""
        try:
            canonical = canonical_address(address)
        except InvalidAddress:
            return None
        return await self._recipients.get(canonical, partial(self._find, canonical))

    async def owns(self, user_id: UserId, address: str) -> bool:
        """See `ports.Directory`. A user may send as every address whose mail reaches them."""
        recipient = await self.resolve(address)
        return recipient is not None and recipient.user_id == user_id

    async def is_local(self, domain: str) -> bool:
        """See `ports.Directory`."""
        try:
            canonical = canonical_domain(domain)
        except InvalidAddress:
            return False
        return await self._domains.get(canonical, partial(self._has_domain, canonical)) is not None

    async def _find(self, address: str) -> Recipient | None:
        for known in filter(None, (address, without_detail(address))):
            if recipient := await self._owner(known):
                return recipient
        return await self._find_catch_all(address)

    async def _find_catch_all(self, address: str) -> Recipient | None:
        catching = catch_all(address)
        # Cached by itself, because most unknown addresses are guesses, and the answer is the same for a whole domain.
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

    async def _has_domain(self, domain: str) -> bool | None:
        return await self._store.has_domain(domain) or None


class _Answers(Generic[V]):
    """Answers to one kind of question. None is an answer too, and kept for a shorter time."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._known = TimedCache[str, V](KNOWN_SECONDS, MAX_CACHED_ANSWERS, clock)
        self._unknown = TimedCache[str, bool](UNKNOWN_SECONDS, MAX_CACHED_ANSWERS, clock)
        self._running = SharedLookups[str, V | None]()

    async def get(self, question: str, look_up: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        known = self._known.get(question)
        if known is not None or self._unknown.get(question):
            return known
        return await self._running.share(question, partial(self._remember, question, look_up))

    async def _remember(self, question: str, look_up: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        asked = self._clock()
        answer = await look_up()
        if answer is None:
            self._unknown.put(question, True, asked)
        else:
            self._known.put(question, answer, asked)
        return answer
