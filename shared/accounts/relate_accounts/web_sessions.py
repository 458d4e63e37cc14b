"""The sessions of people who have signed in with a browser: values, and the interface of their storage.

A session is named by the hash of a random token, which only the browser has. It has the scopes of the key that it was
begun with, or those of a login by an OpenID Connect issuer, and it never outlives that key.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from relate_accounts.types import ApiKey, Scope, User, UserId

MAX_SESSIONS_PER_USER = 50
"""More than a person has browsers: beyond it the session that was not used for longest ends."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session. `key_id` is None for a login by an issuer; `csrf` is the secret that the forms of the session have."""

    token_hash: bytes
    user_id: UserId
    key_id: int | None
    scopes: frozenset[Scope]
    csrf: str = field(repr=False)
    created: datetime
    used: datetime


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session with its user and its key as they are now."""

    session: WebSession
    user: User
    key: ApiKey | None

    def is_open(self, now: datetime) -> bool:
        """Whether the user may log in, and the key is neither revoked nor expired."""
        if self.user.disabled is not None:
            return False
        return self.key is None or (self.key.revoked is None and (self.key.expires is None or now < self.key.expires))


class WebSessionStore(Protocol):
    """Storage of sessions, in memory or SQL. Every method may raise AccountsUnavailable."""

    async def add(self, session: WebSession) -> None:
        """Store a session; beyond the limit those that were unused for longest are removed. Raises UserNotFound."""

    async def find(self, token_hash: bytes) -> FoundSession | None:
        """Return the session with this hash; None if there is none, or its user was removed."""

    async def touch(self, token_hash: bytes, used: datetime) -> None:
        """Set when a session was last used."""

    async def remove(self, token_hash: bytes) -> None:
        """Remove a session; idempotent."""

    async def remove_unused(self, since: datetime) -> int:
        """Remove the sessions that were not used since that moment; returns their number."""


def hash_token(token: str) -> bytes:
    """The hash by which a session is stored. A plain one, because a token has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
