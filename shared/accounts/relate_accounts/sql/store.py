"""The store of accounts as a whole."""

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_accounts.clock import Now, utc_now
from relate_accounts.profile_ports import ProfileStore
from relate_accounts.sql.domains import SqlDomains
from relate_accounts.sql.keys import SqlKeys
from relate_accounts.sql.profiles import SqlProfileStore
from relate_accounts.sql.users import SqlUsers
from relate_accounts.sql.web_sessions import SqlWebSessionStore
from relate_accounts.web_sessions import WebSessionStore


class SqlAccountStore(SqlUsers, SqlKeys, SqlDomains):
    """An `AccountStore` on an engine that the caller opens and disposes of.

    `hash_secret` is the secret for hashing keys; without it one is created at first use and stored in the database.
    """

    def __init__(self, engine: AsyncEngine, hash_secret: bytes | None = None, now: Now = utc_now) -> None:
        super().__init__(engine, now)
        self._hash_secret = hash_secret
        self.profiles: ProfileStore = SqlProfileStore(engine, now)
        self.web_sessions: WebSessionStore = SqlWebSessionStore(engine)
