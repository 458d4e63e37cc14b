"""Sessions of browsers in memory: the reference implementation of `web_sessions.WebSessionStore`, for tests."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from relate_accounts.errors import UserNotFound
from relate_accounts.types import ApiKey, User, UserId
from relate_accounts.web_sessions import MAX_SESSIONS_PER_USER, FoundSession, WebSession


class MemoryWebSessionStore:
    """A non-persistent `WebSessionStore` of the users and keys of a `MemoryAccountStore`."""

    def __init__(self, users: Mapping[UserId, User], keys: Mapping[int, tuple[ApiKey, bytes]]) -> None:
        self._users = users
        self._keys = keys
        self._sessions: dict[bytes, WebSession] = {}

    async def add(self, session: WebSession) -> None:
        """See `web_sessions.WebSessionStore`."""
        if session.user_id not in self._users:
            raise UserNotFound("no user has that id")
        self._sessions[session.token_hash] = session
        own = [each for each in self._sessions.values() if each.user_id == session.user_id]
        for each in sorted(own, key=lambda one: one.used)[:-MAX_SESSIONS_PER_USER]:
            del self._sessions[each.token_hash]

    async def find(self, token_hash: bytes) -> FoundSession | None:
        """See `web_sessions.WebSessionStore`."""
        session = self._sessions.get(token_hash)
        user = None if session is None else self._users.get(session.user_id)
        if session is None or user is None:
            return None
        key = None
        if session.key_id is not None:
            key, _ = self._keys[session.key_id]
        return FoundSession(session, user, key)

    async def touch(self, token_hash: bytes, used: datetime) -> None:
        """See `web_sessions.WebSessionStore`."""
        if (session := self._sessions.get(token_hash)) is not None:
            self._sessions[token_hash] = replace(session, used=used)

    async def remove(self, token_hash: bytes) -> None:
        """See `web_sessions.WebSessionStore`."""
        self._sessions.pop(token_hash, None)

    def remove_of(self, user_id: UserId) -> None:
        """Remove the sessions of a user."""
        for token_hash in [token_hash for token_hash, each in self._sessions.items() if each.user_id == user_id]:
            del self._sessions[token_hash]

    async def remove_unused(self, since: datetime) -> int:
        """See `web_sessions.WebSessionStore`."""
        unused = [token_hash for token_hash, session in self._sessions.items() if session.used < since]
        for token_hash in unused:
            del self._sessions[token_hash]
        return len(unused)
