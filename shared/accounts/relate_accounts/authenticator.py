"""Authenticates logins by API key: a verdict cache, a look-up in the store, and rate limits on wrong logins.

A cached login costs no query. Every other login is looked up regardless of the limits, which only delay wrong logins.
No secret is kept: the cache key is a keyed hash of login and secret. Tokens of another system are another look-up
behind the same cache and limits; the mail protocols do not accept them yet (RFC 7628).
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from relate_accounts.addresses import canonical_address
from relate_accounts.cache import CacheGroup, SharedLookups, TimedCache
from relate_accounts.clock import Monotonic, Now, utc_now
from relate_accounts.errors import InvalidAddress
from relate_accounts.fair_semaphore import FairSemaphore
from relate_accounts.keys import is_well_formed
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.lookup import Found, KeyLookup
from relate_accounts.ports import AccountStore, TokenLogins
from relate_accounts.ratelimit import Sleep, WrongLogins, client_network
from relate_accounts.sessions import Sessions
from relate_accounts.types import Denied, FailureReason, Granted, Revoked, Scope, Verdict
from relate_config.cache_budget import CACHE_OCTETS, share_octets

VERDICT_SECONDS = 30.0  # a revoked key is accepted no longer than this
# Of a cache entry, measured with tracemalloc.
ACCEPTED_OCTETS = 750
REFUSED_OCTETS = 250

# Concurrent look-ups: half of the smallest connection pool, so that a flood of logins leaves the other half to mail.
MAX_LOOKUPS = 4
# Per client network. A right key behind a thousand wrong ones waits some hundred milliseconds.
MAX_LOOKUPS_PER_CLIENT = 2

_NO_ADDRESS = ""  # replaces names that are no address; no user has it


class _Login(NamedTuple):
    """A login and its look-up, whose argument limits a wrong login to one query.

    `is_guess`: the secret cannot be right. Beyond the limit of its client it is not looked up.
    """

    fingerprint: bytes
    is_guess: bool
    client: str
    look_up: Callable[[bool], Coroutine[Any, Any, Found]]


class KeyAuthenticator:
    """Authenticates by API key. The owner starts and stops `last_used`, and a `RevocationWatcher` calls `enforce`."""

    def __init__(
        self,
        store: AccountStore,
        last_used: LastUsedWriter,
        clock: Monotonic = time.monotonic,
        now: Now = utc_now,
        sleep: Sleep = asyncio.sleep,
        *,
        cache_octets: int = CACHE_OCTETS,
    ) -> None:
        limit_octets = share_octets("verdicts", cache_octets)
        size = limit_octets // (ACCEPTED_OCTETS + REFUSED_OCTETS)
        self._lookup = KeyLookup(store, now)
        self._last_used = last_used
        self._clock = clock
        self._now = now
        self._wrong_logins = WrongLogins(clock, sleep, cache_octets=cache_octets)
        self._semaphore = FairSemaphore(MAX_LOOKUPS, MAX_LOOKUPS_PER_CLIENT)
        self._running = SharedLookups[bytes, Found]()
        # Two caches, so that a flood of wrong logins cannot evict accepted ones.
        self._accepted = TimedCache[bytes, Granted](VERDICT_SECONDS, size, clock)
        self._refused = TimedCache[bytes, FailureReason](VERDICT_SECONDS, size, clock)
        self._verdicts = CacheGroup(limit_octets)
        self._verdicts.add(self._accepted, ACCEPTED_OCTETS)
        self._verdicts.add(self._refused, REFUSED_OCTETS)
        self.caches = {"verdicts": self._verdicts, **self._wrong_logins.caches}
        self._sessions = Sessions()
        self._tokens: TokenLogins | None = None
        self._fingerprint_key = secrets.token_bytes(32)

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """See `ports.Authenticator`."""

        def look_up(single_query: bool) -> Coroutine[Any, Any, Found]:
            return self._lookup.by_login(_canonical_name(login), secret, single_query=single_query)

        # With the length, different pairs of login and secret never concatenate to the same text.
        fingerprint = self._fingerprint(f"{len(login)}:{login}:{secret}")
        verdict = await self._authenticate(_Login(fingerprint, not is_well_formed(secret), client, look_up))
        if isinstance(verdict, Denied):
            return verdict
        # A right key without the scope is no guess, so it spends no token. No scope permits acting as another user.
        if scope not in verdict.scopes or authorize_as:
            return Denied(FailureReason.MISSING_SCOPE, cache_hit=verdict.cache_hit)
        self._note_use(verdict)
        return verdict

    def accept_tokens(self, tokens: TokenLogins) -> None:
        """Accept tokens beside keys in `validate_key`."""
        self._tokens = tokens

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """See `ports.Authenticator`."""

        tokens = self._tokens if self._tokens is not None and self._tokens.is_token(secret) else None

        def look_up(_: bool) -> Coroutine[Any, Any, Found]:
            return self._lookup.by_key(secret) if tokens is None else tokens.find(secret)

        # A token is looked up beyond the limit, too: a wrong one costs no query, and the issuer's is right.
        is_guess = tokens is None and not is_well_formed(secret)
        verdict = await self._authenticate(_Login(self._fingerprint(f":{secret}"), is_guess, client, look_up))
        if isinstance(verdict, Granted):
            self._note_use(verdict)
        return verdict

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """See `ports.Authenticator`."""
        return self._sessions.add(granted, end)

    def enforce(self, revoked: Revoked) -> int:
        """End the sessions of revoked keys, disabled users and expired keys, and evict their verdicts.

        Returns the number of sessions.
        """
        if revoked:
            self._accepted.evict(revoked.covers)
        return self._sessions.end(revoked, self._now())

    async def _authenticate(self, login: _Login) -> Verdict:
        granted = self._cached(login.fingerprint)
        if granted is not None:
            self._verdicts.hits += 1
            return granted
        is_limited = self._wrong_logins.is_limited(login.client)
        known = self._refused.get(login.fingerprint)
        found: Found
        if known is not None:
            self._verdicts.hits += 1
            found = known
        elif is_limited and login.is_guess:  # a guess beyond the limit costs no query
            found = FailureReason.INVALID_KEY
        else:
            self._verdicts.misses += 1
            found = await self._running.share(login.fingerprint, partial(self._look_up, login, is_limited))
        if isinstance(found, Granted):
            return replace(found, cache_hit=False)
        return await self._deny(found, login.client, cache_hit=known is not None)

    async def _deny(self, reason: FailureReason, client: str, *, cache_hit: bool) -> Denied:
        if self._wrong_logins.spend(client):
            return Denied(reason, cache_hit=cache_hit)
        await self._wrong_logins.delay(client)
        return Denied(reason, rate_limited=True, cache_hit=cache_hit)

    def _note_use(self, granted: Granted) -> None:
        if granted.key_id is not None:
            self._last_used.note(granted.key_id)

    def _cached(self, fingerprint: bytes) -> Granted | None:
        granted = self._accepted.get(fingerprint)
        if granted is None or (granted.expires is not None and self._now() >= granted.expires):
            return None
        return granted

    async def _look_up(self, login: _Login, single_query: bool) -> Found:
        async with self._semaphore.acquire(client_network(login.client)):
            started = self._clock()
            found = await login.look_up(single_query)
        if isinstance(found, Granted):
            self._accepted.put(login.fingerprint, found, started)
        else:
            self._refused.put(login.fingerprint, found, started)
        return found

    def _fingerprint(self, text: str) -> bytes:
        # Keyed by a random secret of this process, so that hashes in a memory dump match none elsewhere.
        octets = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(octets, key=self._fingerprint_key, digest_size=32).digest()


def _canonical_name(login: str) -> str:
    try:
        return canonical_address(login)
    except InvalidAddress:
        return _NO_ADDRESS
