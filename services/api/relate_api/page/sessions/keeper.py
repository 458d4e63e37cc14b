"""Begins, finds and ends sessions.

Each request looks its session up with its user and its key, so that a revoked key, an expired one and a disabled user
end it at once, in all processes.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relate_accounts.clock import Now, utc_now
from relate_accounts.types import Granted, Scope, User
from relate_accounts.web_sessions import FoundSession, WebSession, WebSessionStore, hash_token
from relate_api.config import PageSettings

TOKEN_OCTETS = 32
CSRF_OCTETS = 32
TOUCH_PERIOD = timedelta(minutes=1)
"""How often the time of the last use is written: the idle end is exact to this."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that is neither idle for too long nor at its end. `granted` is the login that it continues."""

    granted: Granted
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

    async def find(self, token: str, *, is_use: bool = True) -> OpenSession | None:
        """The session of a token; None if there is none, or it has ended. `is_use` defers its idle end.

        Raises AccountsUnavailable.
        """
        found = await self._store.find(hash_token(token))
        if found is None:
            return None
        session, now = found.session, self._now()
        ends = session.created + self._absolute
        if now >= min(ends, session.used + self._idle) or not found.is_open(now):
            await self._store.remove(session.token_hash)
            return None
        if is_use and now - session.used >= TOUCH_PERIOD:
            await self._store.touch(session.token_hash, now)
        return OpenSession(_granted(found, ends), session.csrf)

    async def end(self, token: str) -> None:
        """End a session; idempotent."""
        await self._store.remove(hash_token(token))


def _granted(found: FoundSession, ends: datetime) -> Granted:
    """The login of a session: it expires with its key, or when the session ends."""
    key, session = found.key, found.session
    expires = ends if key is None or key.expires is None else min(ends, key.expires)
    return Granted(found.user, session.key_id, "session" if key is None else key.name, session.scopes, expires=expires)
