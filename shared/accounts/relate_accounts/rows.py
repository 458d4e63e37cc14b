"""Users and keys from the rows of queries, which may have the columns of several tables."""

from typing import Any

from sqlalchemy import Row

from relate_accounts.schema import api_keys, users
from relate_accounts.types import ApiKey, Scope, User, UserId


def to_user(row: Row[Any]) -> User:
    """The user of a row that has the columns of `users`."""
    columns = row._mapping
    return User(
        id=UserId(columns[users.c.id]),
        address=columns[users.c.address],
        display_name=columns[users.c.display_name],
        created=columns[users.c.created],
        quota=columns[users.c.quota],
        disabled=columns[users.c.disabled],
    )


def to_key(row: Row[Any]) -> ApiKey:
    """The key of a row that has the columns of `api_keys`."""
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
