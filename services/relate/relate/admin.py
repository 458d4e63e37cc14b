"""Users and keys, on the database itself: works while the server runs and before it ever ran."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from relate.settings import Settings
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import ApiKey, NewKey, Scope, User
from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId
from relate_service.private import restrict_data

# What a key may do when nothing else is said: all that a mail client needs.
MAIL_SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP)


class Backend(NamedTuple):
    """What administration works on."""

    accounts: AccountStore
    mail: SqlMailStore


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Backend]:
    """The database, at the newest schema."""
    restrict_data(settings.shared.database.default_connection)
    engine = open_engine(settings.shared.database.default_connection)
    try:
        await migrate(engine)
        async with open_store(engine) as mail:
            yield Backend(SqlAccountStore(engine, settings.shared.accounts.hash_secret()), mail)
    finally:
        await engine.dispose()


async def migrate_database(settings: Settings) -> None:
    """Bring the database to the newest schema."""
    restrict_data(settings.shared.database.default_connection)
    engine = open_engine(settings.shared.database.default_connection)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


async def tidy(settings: Settings) -> int:
    """Remove messages, and octets of messages, that nobody has any more; how many rows that was."""
    async with opened(settings) as backend:
        return await backend.mail.collect_garbage()


async def add_user(settings: Settings, address: str, name: str, aliases: Collection[str], quota: int | None) -> User:
    """Add a user and the mailboxes that every user has. Raises UserExists, InvalidAddress."""
    async with opened(settings) as backend:
        user = await backend.accounts.add_user(address, name, aliases, quota)
        await backend.mail.provision(AccountId(user.id))
        return user


async def list_users(settings: Settings) -> list[tuple[User, Sequence[str]]]:
    """All users, each with all addresses."""
    async with opened(settings) as backend:
        return [(user, await backend.accounts.addresses(user.id)) for user in await backend.accounts.users()]


async def set_disabled(settings: Settings, address: str, disabled: bool) -> User:
    """Keep the user of this address from logging in, or end that. Raises UserNotFound."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.set_disabled(user.id, disabled)


async def create_key(
    settings: Settings, address: str, name: str, scopes: Collection[Scope], expires: datetime | None
) -> NewKey:
    """Create a key for the user of this address. Raises UserNotFound, TooManyKeys, InvalidKeyName."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.create_key(user.id, name, scopes, expires)


async def list_keys(settings: Settings, address: str) -> Sequence[ApiKey]:
    """The keys of the user of this address. Raises UserNotFound."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.keys(user.id)


async def revoke_key(settings: Settings, address: str, key_id: int) -> ApiKey:
    """Revoke a key. Raises UserNotFound, KeyNotFound."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.revoke_key(user.id, key_id)
