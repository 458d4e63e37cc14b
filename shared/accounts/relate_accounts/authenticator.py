"""The one authenticator of all protocols: a cache of verdicts, limits on wrong logins, and a lookup behind both.

A login that is cached costs no query. Nothing here keeps a secret: verdicts are held under a keyed hash of what was
presented. Another kind of secret (a token, RFC 7628) is another lookup behind the same cache and limits.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from relate_accounts.addresses import canonical_address
from relate_accounts.cache import SharedLookups, TimedCache
from relate_accounts.clock import Monotonic, Now, utc_now
from relate_accounts.errors import InvalidAddress
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.lookup import Accepted, Found, KeyLookup
from relate_accounts.ports import AccountStore
from relate_accounts.ratelimit import WrongLogins
from relate_accounts.types import Denied, FailureReason, Granted, Scope, Verdict

VERDICT_SECONDS = 30.0  # the longest that a revoked key still lets somebody in
# Verdicts of each kind, about 1 kB an accepted one. Apart, so that a flood of wrong logins cannot push out right ones.
VERDICT_CACHE_SIZE = 10_000

LookUp = Callable[[], Coroutine[Any, Any, Found]]

# All names that cannot be anybody's share one bucket of the limits: there is nobody whom that could lock out.
_NOBODY = ""


class KeyAuthenticator:
    """Authenticates by API key. `last_used` is started and stopped by whoever made it."""

    def __init__(
        self,
        store: AccountStore,
        last_used: LastUsedWriter,
        clock: Monotonic = time.monotonic,
        now: Now = utc_now,
    ) -> None:
        self._lookup = KeyLookup(store, now)
        self._last_used = last_used
        self._clock = clock
        self._now = now
        self._wrong_logins = WrongLogins(clock)
        self._running = SharedLookups[bytes, Found]()
        self._accepted = TimedCache[bytes, Accepted](VERDICT_SECONDS, VERDICT_CACHE_SIZE, clock)
        self._refused = TimedCache[bytes, FailureReason](VERDICT_SECONDS, VERDICT_CACHE_SIZE, clock)
        self._fingerprint_key = secrets.token_bytes(32)

    async def validate(self, login: str, secret: str, scope: Scope, client: str) -> Verdict:
        """See `ports.Authenticator`."""
        # The length keeps apart logins and secrets that read the same when put together.
        presented = self._fingerprint(f"{len(login)}:{login}:{secret}")
        verdict: Verdict | None = self._recall(presented)
        if verdict is None:
            name = _canonical_name(login)
            verdict = await self._examine(presented, partial(self._lookup.by_login, name, secret), client, name)
        if isinstance(verdict, Granted):
            return self._admit(verdict, scope)
        return verdict

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """See `ports.Authenticator`."""
        presented = self._fingerprint(f":{secret}")
        verdict: Verdict | None = self._recall(presented)
        if verdict is None:
            verdict = await self._examine(presented, partial(self._lookup.by_key, secret), client, None)
        if isinstance(verdict, Granted):
            self._last_used.note(verdict.key_id)
        return verdict

    def _recall(self, presented: bytes) -> Granted | None:
        accepted = self._accepted.get(presented)
        if accepted is None or (accepted.expires is not None and self._now() >= accepted.expires):
            return None
        return accepted.granted

    def _admit(self, granted: Granted, scope: Scope) -> Verdict:
        # A right key in the wrong place is nobody's guess: it spends no token.
        if scope not in granted.scopes:
            return Denied(FailureReason.MISSING_SCOPE, cache_hit=granted.cache_hit)
        self._last_used.note(granted.key_id)
        return granted

    async def _examine(self, presented: bytes, look_up: LookUp, client: str, name: str | None) -> Verdict:
        if self._wrong_logins.limited(client, name):
            return Denied(None, rate_limited=True)
        known = self._refused.get(presented)
        found = known or await self._running.share(presented, partial(self._remember, presented, look_up))
        if isinstance(found, Accepted):
            return replace(found.granted, cache_hit=False)
        self._wrong_logins.spend(client, name)
        return Denied(found, cache_hit=known is not None)

    async def _remember(self, presented: bytes, look_up: LookUp) -> Found:
        asked = self._clock()
        found = await look_up()
        if isinstance(found, Accepted):
            self._accepted.put(presented, found, asked)
        else:
            self._refused.put(presented, found, asked)
        return found

    def _fingerprint(self, presented: str) -> bytes:
        # Keyed by a secret of this process alone, so that what a memory dump shows cannot be looked up anywhere.
        octets = presented.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(octets, key=self._fingerprint_key, digest_size=32).digest()


def _canonical_name(login: str) -> str:
    try:
        return canonical_address(login)
    except InvalidAddress:
        return _NOBODY
