"""Profiles in SQLite or PostgreSQL, with SQLAlchemy Core. Each method is one transaction."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relate_accounts.claims import CODE_PERIOD, CODES_PER_PERIOD, CODES_PERIOD, MAX_CLAIMS, MAX_TRIES, Claim
from relate_accounts.errors import AddressNotFound, TooManyClaims, TooManyCodes, WrongCode
from relate_accounts.keys import same_hash
from relate_accounts.profile_ports import Preference
from relate_accounts.schema import claim_codes, claimed_addresses, preferences
from relate_accounts.sql.database import AccountsDatabase
from relate_accounts.sql.rows import lock_user
from relate_accounts.types import UserId

_PREFERENCES = select(preferences.c.name, preferences.c.value).where(preferences.c.user_id == bindparam("user_id"))
_CLAIMS = select(claimed_addresses).where(claimed_addresses.c.user_id == bindparam("user_id"))
_CLAIM = _CLAIMS.where(claimed_addresses.c.address == bindparam("address"))
_COUNT_CLAIMS = select(func.count()).where(claimed_addresses.c.user_id == bindparam("user_id"))
_COUNT_CODES = select(func.count()).where(claim_codes.c.user_id == bindparam("user_id"))


class SqlProfileStore(AccountsDatabase):
    """A `ProfileStore` on an engine that the caller opens and disposes of."""

    async def preferences(self, user_id: UserId) -> Mapping[str, Preference]:
        """See `profile_ports.ProfileStore`."""
        return {row.name: json.loads(row.value) for row in await self._read(_PREFERENCES, user_id=user_id)}

    async def set_preferences(self, user_id: UserId, chosen: Mapping[str, Preference]) -> None:
        """See `profile_ports.ProfileStore`."""
        rows = [{"user_id": user_id, "name": name, "value": json.dumps(value)} for name, value in chosen.items()]
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(preferences)
        upsert = statement.on_conflict_do_update(
            index_elements=[preferences.c.user_id, preferences.c.name], set_={"value": statement.excluded.value}
        )
        async with self._transaction() as connection:
            await lock_user(connection, user_id)
            if rows:
                await connection.execute(upsert, rows)

    async def claims(self, user_id: UserId) -> Sequence[Claim]:
        """See `profile_ports.ProfileStore`."""
        # Sorted here: collations differ from one database to the next.
        return sorted(map(_claim, await self._read(_CLAIMS, user_id=user_id)), key=lambda claim: claim.address)

    async def claim(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """See `profile_ports.ProfileStore`."""
        now, named = self._now(), {"user_id": user_id, "address": address}
        async with self._transaction() as connection:
            await lock_user(connection, user_id)
            known = (await connection.execute(_CLAIM, named)).one_or_none()
            if known is not None and known.verified is not None:
                return _claim(known)
            if known is None and (await connection.execute(_COUNT_CLAIMS, named)).scalar_one() >= MAX_CLAIMS:
                raise TooManyClaims
            await connection.execute(
                delete(claim_codes).where(claim_codes.c.user_id == user_id, claim_codes.c.made <= now - CODES_PERIOD)
            )
            if (await connection.execute(_COUNT_CODES, named)).scalar_one() >= CODES_PER_PERIOD:
                raise TooManyCodes
            await connection.execute(insert(claim_codes), {"user_id": user_id, "made": now})
            await connection.execute(delete(claimed_addresses).where(_is(user_id, address)))
            row = {**named, "code_hash": code_hash, "code_made": now, "tries": 0, "verified": None}
            return _claim((await connection.execute(insert(claimed_addresses).returning(claimed_addresses), row)).one())

    async def prove(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """See `profile_ports.ProfileStore`. Of concurrent tries each is counted."""
        now = self._now()
        count = (
            update(claimed_addresses)
            .where(
                _is(user_id, address),
                claimed_addresses.c.verified.is_(None),
                claimed_addresses.c.tries < MAX_TRIES,
                claimed_addresses.c.code_made > now - CODE_PERIOD,
            )
            .values(tries=claimed_addresses.c.tries + 1)
        )
        verify = update(claimed_addresses).where(_is(user_id, address)).values(verified=now)
        async with self._transaction() as connection:
            counted = (await connection.execute(count)).rowcount
            known = (await connection.execute(_CLAIM, {"user_id": user_id, "address": address})).one_or_none()
            if known is None:
                raise AddressNotFound
            is_right = same_hash(known.code_hash, code_hash) and bool(counted or known.verified)
            if is_right and known.verified is None:
                known = (await connection.execute(verify.returning(claimed_addresses))).one()
        if not is_right:  # after the commit of the count
            raise WrongCode
        return _claim(known)

    async def withdraw(self, user_id: UserId, address: str) -> None:
        """See `profile_ports.ProfileStore`."""
        async with self._transaction() as connection:
            removed = await connection.execute(delete(claimed_addresses).where(_is(user_id, address)))
        if not removed.rowcount:
            raise AddressNotFound

    async def has_proved(self, user_id: UserId, address: str) -> bool:
        """See `profile_ports.ProfileStore`."""
        return any(row.verified is not None for row in await self._read(_CLAIM, user_id=user_id, address=address))


def _is(user_id: UserId, address: str) -> Any:
    return (claimed_addresses.c.user_id == user_id) & (claimed_addresses.c.address == address)


def _claim(row: Row[Any]) -> Claim:
    return Claim(row.address, row.code_made, row.verified)
