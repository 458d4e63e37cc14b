"""Accounts in SQLite or PostgreSQL, with SQLAlchemy Core. Each method is one transaction."""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import (
    Integer,
    bindparam,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_accounts import schema
from relate_accounts.addresses import (
    canonical_address,
    canonical_domain,
    domain_of,
    find_canonical,
    is_catch_all,
    reachable_by,
)
from relate_accounts.clock import Now, as_utc, utc_now
from relate_accounts.errors import (
    AddressBlocked,
    AddressNotFound,
    InvalidAddress,
    KeyNotFound,
    SelectorExists,
    TooManyKeys,
    UserExists,
    UserNotFound,
)
from relate_accounts.keys import MAX_KEYS_PER_USER, check_key_name, generate_key, identify
from relate_accounts.profile_ports import ProfileStore
from relate_accounts.profile_sql import SqlProfileStore
from relate_accounts.removal import BLOCK_PERIOD
from relate_accounts.rows import to_key, to_user
from relate_accounts.schema import (
    UtcDateTime,
    addresses,
    api_keys,
    domain_keys,
    domains,
    oidc_identities,
    removed_addresses,
    users,
)
from relate_accounts.sql_database import AccountsDatabase
from relate_accounts.types import ApiKey, Domain, DomainKey, Identity, NewKey, Revoked, Scope, User, UserId
from relate_accounts.web_session_sql import SqlWebSessionStore
from relate_accounts.web_sessions import WebSessionStore

_HASH_SECRET, _ENVELOPE_SECRET = "api-key-hash", "envelope-id"  # the names of rows
_SECRET_OCTETS = 32
_NO_ADDRESS = ""

_USER_BY_ADDRESS = (
    select(users).join(addresses).where(addresses.c.address == bindparam("address"), addresses.c.verified)
)
_USER = select(users).where(users.c.id == bindparam("user_id"))
_USERS_AFTER = (
    select(users).where(users.c.id > bindparam("user_id")).order_by(users.c.id).limit(bindparam("limit", type_=Integer))
)
_USER_BY_IDENTITY = (
    select(users)
    .join(oidc_identities)
    .where(oidc_identities.c.issuer == bindparam("issuer"), oidc_identities.c.subject == bindparam("subject"))
)
_OWNED = select(addresses.c.address).where(addresses.c.address.in_(bindparam("addresses", expanding=True))).limit(1)
_ADDRESSES = (
    select(addresses.c.address, users.c.address.label("primary"))
    .join(users)
    .where(addresses.c.user_id == bindparam("user_id"), addresses.c.verified)
)
_KEYS = select(api_keys).where(api_keys.c.user_id == bindparam("user_id")).order_by(api_keys.c.id.desc())
_KEYS_BY_PREFIX = select(api_keys, users).join(users).where(api_keys.c.prefix == bindparam("prefix"))
_LOCK_USER = select(users.c.id).where(users.c.id == bindparam("user_id")).with_for_update()
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
_BLOCKED = (
    select(removed_addresses.c.address)
    .where(
        removed_addresses.c.address.in_(bindparam("addresses", expanding=True)),
        removed_addresses.c.blocked,
        removed_addresses.c.removed > bindparam("since", type_=UtcDateTime),
    )
    .limit(1)
)
_REMOVED_USERS = (
    select(removed_addresses.c.user_id)
    .where(removed_addresses.c.removed > bindparam("since", type_=UtcDateTime))
    .distinct()
    .order_by(removed_addresses.c.user_id)
)
_HAS_DOMAIN = union_all(
    select(domains.c.name).where(domains.c.name == bindparam("domain")),
    select(addresses.c.domain).where(addresses.c.domain == bindparam("domain"), addresses.c.verified),
).limit(1)
_ADDRESSES_BY_DOMAIN = (
    select(addresses.c.domain, func.count().label("addresses")).where(addresses.c.verified).group_by(addresses.c.domain)
)
_DOMAIN_KEYS = (
    select(domain_keys)
    .where(domain_keys.c.domain == bindparam("domain"))
    .order_by(domain_keys.c.created.desc(), domain_keys.c.selector.desc())
)
_SET_PRIMARY = (
    update(users)
    .where(users.c.id == bindparam("id_"), users.c.address == _NO_ADDRESS)
    .values(address=bindparam("address_"))
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


class _IdentityExists(Exception):
    """Undoes the transaction that would create a second user of an identity."""


class SqlAccountStore(AccountsDatabase):
    """An `AccountStore` on an engine that the caller opens and disposes of.

    `hash_secret` is the secret for hashing keys; without it one is created at first use and stored in the database.
    """

    def __init__(self, engine: AsyncEngine, hash_secret: bytes | None = None, now: Now = utc_now) -> None:
        super().__init__(engine)
        self._hash_secret = hash_secret
        self._now = now
        self.profiles: ProfileStore = SqlProfileStore(engine, now)
        self.web_sessions: WebSessionStore = SqlWebSessionStore(engine)

    async def add_user(
        self, address: str, display_name: str = "", aliases: Collection[str] = (), quota: int | None = None
    ) -> User:
        """See `ports.AccountStore`."""
        owned = [canonical_address(text) for text in (address, *aliases)]
        row = {"address": owned[0], "display_name": display_name, "quota": quota, "created": self._now()}
        async with self._transaction() as connection:
            user = to_user((await connection.execute(insert(users).returning(users), row)).one())
            await self._add_addresses(connection, user.id, list(dict.fromkeys(owned)))
        return user

    async def remove_user(self, user_id: UserId, *, free: bool = False) -> Sequence[str]:
        """See `ports.AccountStore`."""
        moment = self._now()
        owned = await self.addresses(user_id)
        async with self._transaction() as connection:
            if (await connection.execute(_LOCK_USER, {"user_id": user_id})).one_or_none() is None:
                raise UserNotFound("no user has that id")
            await connection.execute(
                delete(removed_addresses).where(removed_addresses.c.removed <= moment - BLOCK_PERIOD)
            )
            removed = await connection.scalars(
                delete(addresses).where(addresses.c.user_id == user_id).returning(addresses.c.address)
            )
            rows = [
                {
                    "user_id": user_id,
                    "address": address,
                    "removed": moment,
                    "blocked": not (free or not address or is_catch_all(address)),
                }
                for address in list(removed) or [_NO_ADDRESS]  # a row, which tells other processes, even without any
            ]
            await connection.execute(insert(removed_addresses), rows)
            for table, column in (
                (api_keys, api_keys.c.user_id),
                (oidc_identities, oidc_identities.c.user_id),
                (users, users.c.id),
            ):
                await connection.execute(delete(table).where(column == user_id))
        return owned

    async def free_address(self, address: str) -> bool:
        """See `ports.AccountStore`."""
        canonical = canonical_address(address)
        was_blocked = await self.is_blocked(canonical)
        async with self._transaction() as connection:
            await connection.execute(
                update(removed_addresses).where(removed_addresses.c.address == canonical).values(blocked=False)
            )
        return was_blocked

    async def is_blocked(self, address: str) -> bool:
        """See `ports.AccountStore`."""
        try:
            canonical = canonical_address(address)
        except InvalidAddress:
            return False
        return bool(await self._read(_BLOCKED, addresses=[canonical], since=self._now() - BLOCK_PERIOD))

    async def removed_users(self) -> Sequence[UserId]:
        """See `ports.AccountStore`."""
        return [UserId(row.user_id) for row in await self._read(_REMOVED_USERS, since=self._now() - BLOCK_PERIOD)]

    async def add_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """See `ports.AccountStore`."""
        canonical = canonical_address(address)
        if canonical not in await self.addresses(user_id):
            async with self._transaction() as connection:
                if (await connection.execute(_LOCK_USER, {"user_id": user_id})).one_or_none() is None:
                    raise UserNotFound("no user has that id")
                await self._add_addresses(connection, user_id, [canonical])
                if not is_catch_all(canonical):
                    await connection.execute(_SET_PRIMARY, {"id_": user_id, "address_": canonical})
        return await self.addresses(user_id)

    async def remove_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """See `ports.AccountStore`."""
        primary = select(users.c.address).where(users.c.id == user_id).scalar_subquery()
        remove = delete(addresses).where(
            addresses.c.address == canonical_address(address),
            addresses.c.user_id == user_id,
            addresses.c.address != primary,
        )
        async with self._transaction() as connection:
            removed = (await connection.execute(remove.returning(addresses.c.address))).one_or_none()
        if removed is None:
            raise AddressNotFound
        return await self.addresses(user_id)

    async def set_quota(self, user_id: UserId, quota: int | None) -> User:
        """See `ports.AccountStore`."""
        return await self._change_user(user_id, quota=quota)

    async def set_disabled(self, user_id: UserId, disabled: bool) -> User:
        """See `ports.AccountStore`."""
        since = func.coalesce(users.c.disabled, literal(self._now(), UtcDateTime)) if disabled else null()
        return await self._change_user(user_id, disabled=since)

    async def set_display_name(self, user_id: UserId, display_name: str) -> User:
        """See `ports.AccountStore`."""
        return await self._change_user(user_id, display_name=display_name)

    async def users(self) -> Sequence[User]:
        """See `ports.AccountStore`."""
        # Sorted here: collations differ from one database to the next.
        return sorted(map(to_user, await self._read(select(users))), key=lambda user: user.address)

    async def users_after(self, user_id: UserId, limit: int) -> Sequence[User]:
        """See `ports.AccountStore`."""
        return [to_user(row) for row in await self._read(_USERS_AFTER, user_id=user_id, limit=limit)]

    async def user(self, user_id: UserId) -> User:
        """See `ports.AccountStore`."""
        rows = await self._read(_USER, user_id=user_id)
        if not rows:
            raise UserNotFound("no user has that id")
        return to_user(rows[0])

    async def user_by_identity(self, identity: Identity) -> User:
        """See `ports.AccountStore`."""
        rows = await self._read(_USER_BY_IDENTITY, issuer=identity.issuer, subject=identity.subject)
        if not rows:
            raise UserNotFound("no user has that identity")
        return to_user(rows[0])

    async def add_identity(self, identity: Identity, address: str = "", display_name: str = "") -> User:
        """See `ports.AccountStore`."""
        canonical = find_canonical(address)
        try:
            async with self._transaction() as connection:
                row = {"address": _NO_ADDRESS, "display_name": display_name, "created": self._now()}
                user = to_user((await connection.execute(insert(users).returning(users), row)).one())
                identified = {"issuer": identity.issuer, "subject": identity.subject, "user_id": user.id}
                added = await connection.execute(
                    self._insert_once(oidc_identities), {**identified, "created": self._now()}
                )
                if not added.rowcount:
                    raise _IdentityExists
                if canonical is None or not await self._take_if_free(connection, user.id, canonical):
                    return user
                await connection.execute(_SET_PRIMARY, {"id_": user.id, "address_": canonical})
                return replace(user, address=canonical)
        except _IdentityExists:  # another request was first, perhaps at the same moment
            return await self.user_by_identity(identity)

    async def user_by_address(self, address: str) -> User:
        """See `ports.AccountStore`."""
        try:
            rows = await self._read(_USER_BY_ADDRESS, address=canonical_address(address))
        except InvalidAddress:
            rows = []
        if not rows:
            raise UserNotFound("no user has that address")
        return to_user(rows[0])

    async def addresses(self, user_id: UserId) -> Sequence[str]:
        """See `ports.AccountStore`."""
        rows = await self._read(_ADDRESSES, user_id=user_id)
        return [row.address for row in sorted(rows, key=lambda row: (row.address != row.primary, row.address))]

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
        return NewKey(to_key(row), secret)

    async def keys(self, user_id: UserId) -> Sequence[ApiKey]:
        """See `ports.AccountStore`."""
        return [to_key(row) for row in await self._read(_KEYS, user_id=user_id)]

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
        return to_key(row)

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
        return [(to_key(row), row._mapping[api_keys.c.hash], to_user(row)) for row in rows]

    async def hash_secret(self) -> bytes:
        """See `ports.AccountStore`. The first process creates it; all others read it."""
        if self._hash_secret is None:
            self._hash_secret = await self._secret(_HASH_SECRET)
        return self._hash_secret

    async def envelope_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return await self._secret(_ENVELOPE_SECRET)

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        """See `ports.AccountStore`."""
        if not last_used:
            return
        # Sorted by id, so that two processes cannot deadlock.
        rows = [{"key_id": key_id, "used": used} for key_id, used in sorted(last_used.items())]
        async with self._transaction() as connection:
            await connection.execute(_TOUCH_KEY, rows)

    async def has_domain(self, domain: str) -> bool:
        """See `ports.AccountStore`."""
        try:
            return bool(await self._read(_HAS_DOMAIN, domain=canonical_domain(domain)))
        except InvalidAddress:
            return False

    async def add_domain(self, domain: str) -> str:
        """See `ports.AccountStore`."""
        name = canonical_domain(domain)
        async with self._transaction() as connection:
            await connection.execute(self._insert_once(domains), {"name": name, "added": self._now()})
        return name

    async def domains(self) -> Sequence[Domain]:
        """See `ports.AccountStore`."""
        added = {row.name: row.added for row in await self._read(select(domains))}
        counts = {row.domain: row.addresses for row in await self._read(_ADDRESSES_BY_DOMAIN)}
        return [Domain(name, added.get(name), counts.get(name, 0)) for name in sorted(added.keys() | counts.keys())]

    async def add_domain_key(self, key: DomainKey) -> None:
        """See `ports.AccountStore`."""
        row = {
            "domain": canonical_domain(key.domain),
            "selector": key.selector,
            "records": json.dumps(dict(key.records)),
            "created": self._now(),
        }
        async with self._transaction() as connection:
            added = await connection.execute(self._insert_once(domain_keys), row)
        if not added.rowcount:
            raise SelectorExists

    async def remove_domain_key(self, domain: str, selector: str) -> None:
        """See `ports.AccountStore`."""
        named = (domain_keys.c.domain == canonical_domain(domain)) & (domain_keys.c.selector == selector)
        async with self._transaction() as connection:
            await connection.execute(delete(domain_keys).where(named))

    async def domain_keys(self, domain: str) -> Sequence[DomainKey]:
        """See `ports.AccountStore`."""
        try:
            rows = await self._read(_DOMAIN_KEYS, domain=canonical_domain(domain))
        except InvalidAddress:
            return []
        return [DomainKey(row.domain, row.selector, json.loads(row.records), row.created) for row in rows]

    async def _change_user(self, user_id: UserId, **values: object) -> User:
        change = update(users).where(users.c.id == user_id).values(**values).returning(users)
        async with self._transaction() as connection:
            row = (await connection.execute(change)).one_or_none()
        if row is None:
            raise UserNotFound("no user has that id")
        return to_user(row)

    async def _take_if_free(self, connection: AsyncConnection, user_id: UserId, canonical: str) -> bool:
        """Add an address to the user of a new identity, if its domain is local, and it is and was of no user."""
        domain = domain_of(canonical)
        is_local = (await connection.execute(_HAS_DOMAIN, {"domain": domain})).first() is not None
        reached = (await connection.execute(_OWNED, {"addresses": reachable_by(canonical)})).first()
        blocked = await connection.execute(_BLOCKED, {"addresses": [canonical], "since": self._now() - BLOCK_PERIOD})
        if not is_local or is_catch_all(canonical) or reached is not None or blocked.first() is not None:
            return False
        row = {"address": canonical, "domain": domain, "user_id": user_id, "verified": True}
        added = await connection.execute(self._insert_once(addresses), row)
        return bool(added.rowcount)

    async def _add_addresses(self, connection: AsyncConnection, user_id: UserId, canonical: Sequence[str]) -> None:
        """Add addresses to a user. Raises UserExists, AddressBlocked."""
        blocked = await connection.execute(_BLOCKED, {"addresses": canonical, "since": self._now() - BLOCK_PERIOD})
        if blocked.one_or_none() is not None:
            raise AddressBlocked
        rows = [
            {"address": text, "domain": domain_of(text), "user_id": user_id, "verified": True} for text in canonical
        ]
        try:
            await connection.execute(insert(addresses), rows)
        except IntegrityError:
            raise UserExists("an address belongs to a user already") from None

    async def _check_key_limit(self, connection: AsyncConnection, user_id: UserId) -> None:
        """Lock the user's row, so that concurrent calls cannot exceed the limit. Raises UserNotFound, TooManyKeys."""
        if (await connection.execute(_LOCK_USER, {"user_id": user_id})).one_or_none() is None:
            raise UserNotFound("no user has that id")
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
