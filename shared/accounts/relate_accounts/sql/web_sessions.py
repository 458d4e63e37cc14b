"""Sessions of browsers in SQLite or PostgreSQL, with SQLAlchemy Core. Each method is one transaction."""

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from relate_accounts.schema import api_keys, users, web_sessions
from relate_accounts.sql.database import AccountsDatabase
from relate_accounts.sql.rows import lock_user, parse_key, parse_user
from relate_accounts.types import Scope, UserId
from relate_accounts.web_sessions import MAX_SESSIONS_PER_USER, FoundSession, WebSession

_FIND = (
    select(web_sessions, users, api_keys)
    .join(users, users.c.id == web_sessions.c.user_id)
    .outerjoin(api_keys, api_keys.c.id == web_sessions.c.key_id)
    .where(web_sessions.c.token_hash == bindparam("token_hash"))
)


class SqlWebSessionStore(AccountsDatabase):
    """A `WebSessionStore` on an engine that the caller opens and disposes of."""

    async def add(self, session: WebSession) -> None:
        """See `web_sessions.WebSessionStore`."""
        newest = (
            select(web_sessions.c.token_hash)
            .where(web_sessions.c.user_id == session.user_id)
            .order_by(web_sessions.c.used.desc())
            .limit(MAX_SESSIONS_PER_USER)
        )
        oldest = delete(web_sessions).where(
            web_sessions.c.user_id == session.user_id, web_sessions.c.token_hash.not_in(newest)
        )
        row = {
            "token_hash": session.token_hash,
            "user_id": session.user_id,
            "key_id": session.key_id,
            "scopes": " ".join(sorted(session.scopes)),
            "csrf": session.csrf,
            "created": session.created,
            "used": session.used,
        }
        async with self._transaction() as connection:
            await lock_user(connection, session.user_id)
            await connection.execute(insert(web_sessions), row)
            await connection.execute(oldest)

    async def find(self, token_hash: bytes) -> FoundSession | None:
        """See `web_sessions.WebSessionStore`."""
        rows = await self._read(_FIND, token_hash=token_hash)
        if not rows:
            return None
        columns = rows[0]._mapping
        session = WebSession(
            token_hash=token_hash,
            user_id=UserId(columns[web_sessions.c.user_id]),
            key_id=columns[web_sessions.c.key_id],
            scopes=frozenset(map(Scope, columns[web_sessions.c.scopes].split())),
            csrf=columns[web_sessions.c.csrf],
            created=columns[web_sessions.c.created],
            used=columns[web_sessions.c.used],
        )
        return FoundSession(session, parse_user(rows[0]), None if session.key_id is None else parse_key(rows[0]))

    async def touch(self, token_hash: bytes, used: datetime) -> None:
        """See `web_sessions.WebSessionStore`."""
        change = update(web_sessions).where(web_sessions.c.token_hash == token_hash).values(used=used)
        async with self._transaction() as connection:
            await connection.execute(change)

    async def remove(self, token_hash: bytes) -> None:
        """See `web_sessions.WebSessionStore`."""
        async with self._transaction() as connection:
            await connection.execute(delete(web_sessions).where(web_sessions.c.token_hash == token_hash))

    async def remove_unused(self, since: datetime) -> int:
        """See `web_sessions.WebSessionStore`."""
        async with self._transaction() as connection:
            removed = await connection.execute(delete(web_sessions).where(web_sessions.c.used < since))
        return removed.rowcount
