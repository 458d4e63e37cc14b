"""The addresses of users, and the blocked addresses of removed users."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from relate_accounts.addresses import canonical_address, domain_of, is_catch_all, reachable_by
from relate_accounts.errors import AddressBlocked, AddressNotFound, InvalidAddress, UserExists
from relate_accounts.removal import BLOCK_PERIOD
from relate_accounts.schema import UtcDateTime, addresses, removed_addresses, users
from relate_accounts.sql.database import AccountsDatabase
from relate_accounts.sql.domains import HAS_DOMAIN
from relate_accounts.sql.rows import NO_ADDRESS, lock_user
from relate_accounts.types import UserId

_OWNED = select(addresses.c.address).where(addresses.c.address.in_(bindparam("addresses", expanding=True))).limit(1)
_ADDRESSES = (
    select(addresses.c.address, users.c.address.label("primary"))
    .join(users)
    .where(addresses.c.user_id == bindparam("user_id"), addresses.c.verified)
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
SET_PRIMARY = (
    update(users)
    .where(users.c.id == bindparam("id_"), users.c.address == NO_ADDRESS)
    .values(address=bindparam("address_"))
)


class SqlAddresses(AccountsDatabase):
    """The addresses of `AccountStore`."""

    async def addresses(self, user_id: UserId) -> Sequence[str]:
        """See `ports.AccountStore`."""
        rows = await self._read(_ADDRESSES, user_id=user_id)
        return [row.address for row in sorted(rows, key=lambda row: (row.address != row.primary, row.address))]

    async def add_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """See `ports.AccountStore`."""
        canonical = canonical_address(address)
        if canonical not in await self.addresses(user_id):
            async with self._transaction() as connection:
                await lock_user(connection, user_id)
                await self._add_addresses(connection, user_id, [canonical])
                if not is_catch_all(canonical):
                    await connection.execute(SET_PRIMARY, {"id_": user_id, "address_": canonical})
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

    async def _take_if_free(self, connection: AsyncConnection, user_id: UserId, canonical: str) -> bool:
        """Add an address to the user of a new identity, if its domain is local, and it is and was of no user."""
        domain = domain_of(canonical)
        is_local = (await connection.execute(HAS_DOMAIN, {"domain": domain})).first() is not None
        reached = (await connection.execute(_OWNED, {"addresses": reachable_by(canonical)})).first()
        blocked = await connection.execute(_BLOCKED, {"addresses": [canonical], "since": self._now() - BLOCK_PERIOD})
        if not is_local or is_catch_all(canonical) or reached is not None or blocked.first() is not None:
            return False
        row = {"address": canonical, "domain": domain, "user_id": user_id, "verified": True}
        added = await connection.execute(self._insert_once(addresses), row)
        return bool(added.rowcount)
