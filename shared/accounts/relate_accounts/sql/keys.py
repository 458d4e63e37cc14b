"""API keys, and the secrets of the system."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, insert, literal, null, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from relate_accounts import schema
from relate_accounts.clock import as_utc
from relate_accounts.errors import KeyNotFound, TooManyKeys
from relate_accounts.keys import MAX_KEYS_PER_USER, check_key_name, generate_key, identify
from relate_accounts.schema import UtcDateTime, api_keys, removed_addresses, users
from relate_accounts.sql.database import AccountsDatabase
from relate_accounts.sql.rows import lock_user, parse_key, parse_user
from relate_accounts.types import ApiKey, NewKey, Revoked, Scope, User, UserId

_HASH_SECRET, _ENVELOPE_SECRET, _SIGN_IN_SECRET = "api-key-hash", "envelope-id", "sign-in"  # the names of rows
_SECRET_OCTETS = 32
_KEYS = select(api_keys).where(api_keys.c.user_id == bindparam("user_id")).order_by(api_keys.c.id.desc())
_KEYS_BY_PREFIX = select(api_keys, users).join(users).where(api_keys.c.prefix == bindparam("prefix"))
_COUNT_USABLE_KEYS = select(func.count()).where(
    api_keys.c.user_id == bindparam("user_id"),
    api_keys.c.revoked.is_(None),
    or_(api_keys.c.expires.is_(None), api_keys.c.expires > bindparam("now", type_=UtcDateTime)),
)
_REVOKED_SINCE = union_all(
    select(api_keys.c.id.label("key_id"), null().label("user_id")).where(api_keys.c.revoked >= bindparam("moment")),
    select(null(), users.c.id).where(users.c.disabled >= bindparam("moment")),
    select(null(), removed_addresses.c.user_id).where(removed_addresses.c.removed >= bindparam("moment")),
)
_SECRET = select(schema.secrets.c.value).where(schema.secrets.c.name == bindparam("name"))
_TOUCH_KEY = (
    update(api_keys)
    .where(
        api_keys.c.id == bindparam("key_id"),
        # Another process may have written a later time.
        or_(api_keys.c.last_used.is_(None), api_keys.c.last_used < bindparam("used")),
    )
    .values(last_used=bindparam("used"))
)


class SqlKeys(AccountsDatabase):
    """The keys and secrets of `AccountStore`."""

    _hash_secret: bytes | None = None  # configured, or read once

    async def create_key(
        self,
        user_id: UserId,
        name: str,
        scopes: Collection[Scope],
        expires: datetime | None = None,
        secret: str | None = None,
    ) -> NewKey:
        """See `ports.AccountStore`."""
        check_key_name(name)
        secret = secret or generate_key()
        identity = identify(secret, await self.hash_secret())
        key = {
            "user_id": user_id,
            "name": name,
            "prefix": identity.prefix,
            "hash": identity.hash,
            "scopes": " ".join(sorted(scopes)),
            "created": self._now(),
            "expires": expires and as_utc(expires),
        }
        async with self._transaction() as connection:
            await self._check_key_limit(connection, user_id)
            row = (await connection.execute(insert(api_keys).returning(api_keys), key)).one()
        return NewKey(parse_key(row), secret)

    async def keys(self, user_id: UserId) -> Sequence[ApiKey]:
        """See `ports.AccountStore`."""
        return [parse_key(row) for row in await self._read(_KEYS, user_id=user_id)]

    async def revoke_key(self, user_id: UserId, key_id: int) -> ApiKey:
        """See `ports.AccountStore`."""
        revoke = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
            .values(revoked=func.coalesce(api_keys.c.revoked, literal(self._now(), UtcDateTime)))
            .returning(api_keys)
        )
        async with self._transaction() as connection:
            row = (await connection.execute(revoke)).one_or_none()
        if row is None:
            raise KeyNotFound("no such key of this user")
        return parse_key(row)

    async def revoked_since(self, moment: datetime) -> Revoked:
        """See `ports.AccountStore`."""
        rows = await self._read(_REVOKED_SINCE, moment=moment)
        return Revoked(
            frozenset(row.key_id for row in rows if row.key_id is not None),
            frozenset(row.user_id for row in rows if row.user_id is not None),
        )

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        """See `ports.AccountStore`."""
        rows = await self._read(_KEYS_BY_PREFIX, prefix=prefix)
        return [(parse_key(row), row._mapping[api_keys.c.hash], parse_user(row)) for row in rows]

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        """See `ports.AccountStore`."""
        if not last_used:
            return
        # Sorted by id, so that two processes cannot deadlock.
        rows = [{"key_id": key_id, "used": used} for key_id, used in sorted(last_used.items())]
        async with self._transaction() as connection:
            await connection.execute(_TOUCH_KEY, rows)

    async def hash_secret(self) -> bytes:
        """See `ports.AccountStore`. The first process creates it; all others read it."""
        if self._hash_secret is None:
            self._hash_secret = await self._secret(_HASH_SECRET)
        return self._hash_secret

    async def envelope_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return await self._secret(_ENVELOPE_SECRET)

    async def sign_in_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return await self._secret(_SIGN_IN_SECRET)

    async def _check_key_limit(self, connection: AsyncConnection, user_id: UserId) -> None:
        """Lock the user, and raise TooManyKeys if no key may be added. Raises UserNotFound."""
        await lock_user(connection, user_id)
        usable = await connection.scalar(_COUNT_USABLE_KEYS, {"user_id": user_id, "now": self._now()})
        if usable is not None and usable >= MAX_KEYS_PER_USER:
            raise TooManyKeys(f"a user has at most {MAX_KEYS_PER_USER} keys")

    async def _secret(self, name: str) -> bytes:
        """A stored secret; it is created if there is none."""
        if rows := await self._read(_SECRET, name=name):
            return bytes(rows[0].value)
        row = {"name": name, "value": secrets.token_bytes(_SECRET_OCTETS)}
        async with self._transaction() as connection:
            await connection.execute(self._insert_once(schema.secrets), row)
            return bytes((await connection.execute(_SECRET, {"name": name})).scalar_one())
