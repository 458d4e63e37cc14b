"""Begins, finds and ends sessions.

Each request looks its session up with its user and its key, so that a revoked key, an expired one and a disabled user
end it at once, in all processes.
"""

import re
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from relate_accounts.authenticator import MAX_LOOKUPS, MAX_LOOKUPS_PER_CLIENT
from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.fair_semaphore import FairSemaphore
from relate_accounts.ratelimit import client_network
from relate_accounts.types import Granted, Scope, User
from relate_accounts.web_sessions import FoundSession, WebSession, WebSessionStore, hash_token
from relate_api.config import PageSettings

TOKEN_OCTETS = 32
_TOKEN = re.compile("[A-Za-z0-9_-]{43}")  # these octets in base64url
CSRF_OCTETS = 32
TOUCH_PERIOD = timedelta(minutes=1)
"""How often the time of the last use is written: the idle end is exact to this."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that is neither idle for too long nor at its end. `granted` is the login that it continues.

    `key_expires` is the expiry of its key: keys that the person makes may outlive the session, but not that.
    """

    granted: Granted
    key_expires: datetime | None
    csrf: str = field(repr=False)

    @property
    def user(self) -> User:
        """The user who has signed in."""
        return self.granted.user

    @property
    def scopes(self) -> frozenset[Scope]:
        """What the session may do."""
        return self.granted.scopes


class SessionKeeper:
    """The sessions in a store."""

    def __init__(self, store: WebSessionStore, settings: PageSettings, now: Now = utc_now) -> None:
        self._store = store
        self._idle = timedelta(minutes=settings.idle_minutes)
        self._absolute = timedelta(hours=settings.absolute_hours)
        self._now = now
        self._semaphore = FairSemaphore(MAX_LOOKUPS, MAX_LOOKUPS_PER_CLIENT)

    async def begin(self, granted: Granted, replaced: str | None = None) -> str:
        """Begin a session; returns its new token. `replaced` is the token that the browser had before, which ends.

        Raises AccountsUnavailable, UserNotFound.
        """
        now, token = self._now(), secrets.token_urlsafe(TOKEN_OCTETS)
        if replaced is not None:
            await self._store.remove(hash_token(replaced))
        await self._store.remove_unused(now - self._idle)
        csrf = secrets.token_urlsafe(CSRF_OCTETS)
        await self._store.add(
            WebSession(hash_token(token), granted.user.id, granted.key_id, granted.scopes, csrf, now, now)
        )
        return token

    async def find(self, token: str, client: str, *, is_use: bool = True) -> OpenSession | None:
        """The session of a token; None if there is none, or it has ended. `is_use` defers its idle end.

        `client` is the client's address: few look-ups of a network run at the same time. Raises AccountsUnavailable.
        """
        if _TOKEN.fullmatch(token) is None:
            return None
        async with self._semaphore.acquire(client_network(client)):
            found = await self._store.find(hash_token(token))
        if found is None:
            return None
        session, now = found.session, self._now()
        ends = session.created + self._absolute
        if now >= min(ends, session.used + self._idle) or not found.is_open(now):
            await self._written(self._store.remove(session.token_hash))
            return None
        if is_use and now - session.used >= TOUCH_PERIOD:
            await self._written(self._store.touch(session.token_hash, now))
        key_expires = None if found.key is None else found.key.expires
        return OpenSession(_granted(found, ends), key_expires, session.csrf)

    async def end(self, token: str) -> None:
        """End a session; idempotent."""
        await self._store.remove(hash_token(token))

    async def _written(self, change: Coroutine[Any, Any, None]) -> None:
        """Store a change that the next request repeats: a disk that is full does not stop reading."""
        try:
            await change
        except AccountsUnavailable as error:
            log.warning("session not stored", error=str(error))


def _granted(found: FoundSession, ends: datetime) -> Granted:
    """The login of a session: it expires with its key, or when the session ends."""
    key, session = found.key, found.session
    expires = ends if key is None or key.expires is None else min(ends, key.expires)
    return Granted(found.user, session.key_id, "session" if key is None else key.name, session.scopes, expires=expires)
