"""Users, by id, address and identity."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Integer, bindparam, delete, func, insert, literal, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from relate_accounts.addresses import canonical_address, find_canonical, is_catch_all
from relate_accounts.errors import InvalidAddress, UserNotFound
from relate_accounts.removal import BLOCK_PERIOD
from relate_accounts.schema import (
    UtcDateTime,
    addresses,
    api_keys,
    oidc_identities,
    removed_addresses,
    users,
    web_sessions,
)
from relate_accounts.sql.addresses import SET_PRIMARY, SqlAddresses
from relate_accounts.sql.rows import NO_ADDRESS, lock_user, parse_user
from relate_accounts.types import Identity, User, UserId

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
_REMOVED_USERS = (
    select(removed_addresses.c.user_id)
    .where(removed_addresses.c.removed > bindparam("since", type_=UtcDateTime))
    .distinct()
    .order_by(removed_addresses.c.user_id)
)


class _IdentityExists(Exception):
    """Undoes the transaction that would create a second user of an identity."""


class SqlUsers(SqlAddresses):
    """The users of `AccountStore`."""

    async def add_user(
        self, address: str, display_name: str = "", aliases: Collection[str] = (), quota: int | None = None
    ) -> User:
        """See `ports.AccountStore`."""
        owned = [canonical_address(text) for text in (address, *aliases)]
        row = {"address": owned[0], "display_name": display_name, "quota": quota, "created": self._now()}
        async with self._transaction() as connection:
            user = parse_user((await connection.execute(insert(users).returning(users), row)).one())
            await self._add_addresses(connection, user.id, list(dict.fromkeys(owned)))
        return user

    async def remove_user(self, user_id: UserId, *, free: bool = False) -> Sequence[str]:
        """See `ports.AccountStore`."""
        moment = self._now()
        owned = await self.addresses(user_id)
        async with self._transaction() as connection:
            await lock_user(connection, user_id)
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
                for address in list(removed) or [NO_ADDRESS]  # a row, which tells other processes, even without any
            ]
            await connection.execute(insert(removed_addresses), rows)
            for table, column in (
                (api_keys, api_keys.c.user_id),
                (oidc_identities, oidc_identities.c.user_id),
                (users, users.c.id),
            ):
                await connection.execute(delete(table).where(column == user_id))
        return owned

    async def removed_users(self) -> Sequence[UserId]:
        """See `ports.AccountStore`."""
        return [UserId(row.user_id) for row in await self._read(_REMOVED_USERS, since=self._now() - BLOCK_PERIOD)]

    async def set_quota(self, user_id: UserId, quota: int | None) -> User:
        """See `ports.AccountStore`."""
        return await self._change_user(user_id, quota=quota)

    async def set_disabled(self, user_id: UserId, disabled: bool) -> User:
        """See `ports.AccountStore`."""
        since = func.coalesce(users.c.disabled, literal(self._now(), UtcDateTime)) if disabled else null()
        async with self._transaction() as connection:
            user = await _change(connection, user_id, disabled=since)
            if disabled:  # else they would open again when the user is enabled
                await connection.execute(delete(web_sessions).where(web_sessions.c.user_id == user_id))
        return user

    async def set_display_name(self, user_id: UserId, display_name: str) -> User:
        """See `ports.AccountStore`."""
        return await self._change_user(user_id, display_name=display_name)

    async def users(self) -> Sequence[User]:
        """See `ports.AccountStore`."""
        # Sorted here: collations differ from one database to the next.
        return sorted(map(parse_user, await self._read(select(users))), key=lambda user: user.address)

    async def users_after(self, user_id: UserId, limit: int) -> Sequence[User]:
        """See `ports.AccountStore`."""
        return [parse_user(row) for row in await self._read(_USERS_AFTER, user_id=user_id, limit=limit)]

    async def user(self, user_id: UserId) -> User:
        """See `ports.AccountStore`."""
        rows = await self._read(_USER, user_id=user_id)
        if not rows:
            raise UserNotFound("no user has that id")
        return parse_user(rows[0])

    async def user_by_address(self, address: str) -> User:
        """See `ports.AccountStore`."""
        try:
            rows = await self._read(_USER_BY_ADDRESS, address=canonical_address(address))
        except InvalidAddress:
            rows = []
        if not rows:
            raise UserNotFound("no user has that address")
        return parse_user(rows[0])

    async def user_by_identity(self, identity: Identity) -> User:
        """See `ports.AccountStore`."""
        rows = await self._read(_USER_BY_IDENTITY, issuer=identity.issuer, subject=identity.subject)
        if not rows:
            raise UserNotFound("no user has that identity")
        return parse_user(rows[0])

    async def add_identity(self, identity: Identity, address: str = "", display_name: str = "") -> User:
        """See `ports.AccountStore`."""
        canonical = find_canonical(address)
        try:
            async with self._transaction() as connection:
                row = {"address": NO_ADDRESS, "display_name": display_name, "created": self._now()}
                user = parse_user((await connection.execute(insert(users).returning(users), row)).one())
                identified = {"issuer": identity.issuer, "subject": identity.subject, "user_id": user.id}
                added = await connection.execute(
                    self._insert_once(oidc_identities), {**identified, "created": self._now()}
                )
                if not added.rowcount:
                    raise _IdentityExists
                if canonical is None or not await self._take_if_free(connection, user.id, canonical):
                    return user
                await connection.execute(SET_PRIMARY, {"id_": user.id, "address_": canonical})
                return replace(user, address=canonical)
        except _IdentityExists:  # another request was first, perhaps at the same moment
            return await self.user_by_identity(identity)

    async def _change_user(self, user_id: UserId, **values: object) -> User:
        async with self._transaction() as connection:
            return await _change(connection, user_id, **values)


async def _change(connection: AsyncConnection, user_id: UserId, **values: object) -> User:
    change = update(users).where(users.c.id == user_id).values(**values).returning(users)
    row = (await connection.execute(change)).one_or_none()
    if row is None:
        raise UserNotFound("no user has that id")
    return parse_user(row)
