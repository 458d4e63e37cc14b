"""Rows of users and keys as values, and the lock of a user."""

from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from relate_accounts.errors import UserNotFound
from relate_accounts.schema import api_keys, users
from relate_accounts.types import ApiKey, Scope, User, UserId

NO_ADDRESS = ""  # of a user who has none
_LOCK_USER = select(users.c.id).where(users.c.id == bindparam("user_id")).with_for_update()


async def lock_user(connection: AsyncConnection, user_id: UserId) -> None:
    """Lock the row of a user, so that concurrent calls cannot exceed a limit. Raises UserNotFound."""
    if (await connection.execute(_LOCK_USER, {"user_id": user_id})).one_or_none() is None:
        raise UserNotFound("no user has that id")


def parse_user(row: Row[Any]) -> User:
    """The user of a row that has the columns of `users`, perhaps beside others."""
    columns = row._mapping
    return User(
        id=UserId(columns[users.c.id]),
        address=columns[users.c.address],
        display_name=columns[users.c.display_name],
        created=columns[users.c.created],
        quota=columns[users.c.quota],
        disabled=columns[users.c.disabled],
    )


def parse_key(row: Row[Any]) -> ApiKey:
    """The key of a row that has the columns of `api_keys`, perhaps beside others."""
    columns = row._mapping
    return ApiKey(
        id=columns[api_keys.c.id],
        user_id=UserId(columns[api_keys.c.user_id]),
        name=columns[api_keys.c.name],
        prefix=columns[api_keys.c.prefix],
        scopes=frozenset(map(Scope, columns[api_keys.c.scopes].split())),
        created=columns[api_keys.c.created],
        expires=columns[api_keys.c.expires],
        revoked=columns[api_keys.c.revoked],
        last_used=columns[api_keys.c.last_used],
    )
