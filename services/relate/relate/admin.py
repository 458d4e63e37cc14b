"""Users, keys and mailboxes, on the database itself: works while the server runs and before it ever ran."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from relate import default_database
from relate.printing import note
from relate.settings import Settings
from relate_accounts.errors import UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import ApiKey, NewKey, Scope, User
from relate_mailstore.erase import erase
from relate_mailstore.sql.driver.engine import describe_url, open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, Flag, Mailbox
from relate_service.housekeeping import MailAndAccounts
from relate_service.private import make_data_private

# What a key may do when nothing else is said: all that a mail client needs.
MAIL_SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP)


class Backend(NamedTuple):
    """What administration works on."""

    accounts: AccountStore
    mail: SqlMailStore


class Profile(NamedTuple):
    """A user and what there is of theirs; `addresses` begins with the primary one, `usage` is in octets."""

    user: User
    addresses: Sequence[str]
    usage: int
    messages: int
    mailboxes: int
    usable_keys: int


class Removed(NamedTuple):
    """What a removal did: the addresses that were a user's, and those that may be given to another user now."""

    addresses: Sequence[str] = ()
    messages: int = 0
    freed: Sequence[str] = ()


class MailboxRow(NamedTuple):
    """A mailbox as it is listed; `use` is its special use (RFC 6154)."""

    name: str
    messages: int
    unread: int
    octets: int
    use: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Backend]:
    """The database, at the newest schema; a note says where one was made."""
    engine = await _migrated(settings)
    try:
        async with open_store(engine) as mail:
            yield Backend(SqlAccountStore(engine, settings.shared.accounts.hash_secret()), mail)
    finally:
        await engine.dispose()


async def migrate_database(settings: Settings) -> None:
    """Bring the database to the newest schema."""
    await (await _migrated(settings)).dispose()


async def _migrated(settings: Settings) -> AsyncEngine:
    url = settings.shared.database.default_connection
    make_data_private(url)
    engine = open_engine(url)
    try:
        if not await migrate(engine):
            return engine
    except BaseException:
        await engine.dispose()
        raise
    note(f"made a new database at {describe_url(url)}")
    if settings.found is not None:
        default_database.remember(url)
    return engine


async def tidy(settings: Settings) -> int:
    """Remove messages, and octets of messages, that no user has any more; how many rows that was."""
    async with opened(settings) as backend:
        return await MailAndAccounts(backend.mail, backend.accounts).collect_garbage()


async def add_user(settings: Settings, address: str, name: str, aliases: Collection[str], quota: int | None) -> User:
    """Add a user and the mailboxes that every user has. Raises UserExists, AddressBlocked, InvalidAddress."""
    async with opened(settings) as backend:
        user = await backend.accounts.add_user(address, name, aliases, quota)
        await backend.mail.provision(AccountId(user.id))
        return user


async def list_users(settings: Settings) -> list[tuple[User, Sequence[str]]]:
    """All users, each with all addresses."""
    async with opened(settings) as backend:
        return [(user, await backend.accounts.addresses(user.id)) for user in await backend.accounts.users()]


async def show_user(settings: Settings, address: str) -> Profile:
    """The user of this address. Raises UserNotFound."""
    async with opened(settings) as backend:
        return await _profile(backend, await backend.accounts.user_by_address(address))


async def remove_user(
    settings: Settings, address: str, confirm: Callable[[Profile], None], *, free: bool = False
) -> Removed:
    """Remove the user of this address with all keys and mail, unless `confirm` raises.

    With `free` the addresses may be given to another user at once; an address that is blocked already is freed then.
    Raises UserNotFound.
    """
    async with opened(settings) as backend:
        try:
            user = await backend.accounts.user_by_address(address)
        except UserNotFound:
            if free and await backend.accounts.free_address(address):
                return Removed(freed=(address,))
            raise
        confirm(await _profile(backend, user))
        # The user first: were the mail removed first, more could come meanwhile.
        addresses = await backend.accounts.remove_user(user.id, free=free)
        messages = await erase(backend.mail, AccountId(user.id))
        await backend.mail.collect_garbage()
        return Removed(addresses, messages, addresses if free else ())


async def set_alias(settings: Settings, address: str, alias: str, *, given: bool) -> Sequence[str]:
    """Give the user of this address a further one, or take it away; all addresses of the user.

    Raises UserNotFound, UserExists, AddressBlocked, AddressNotFound, InvalidAddress.
    """
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        change = backend.accounts.add_alias if given else backend.accounts.remove_alias
        return await change(user.id, alias)


async def set_quota(settings: Settings, address: str, quota: int | None) -> User:
    """Limit the mail of the user of this address to so many octets. Raises UserNotFound."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.set_quota(user.id, quota)


async def list_mailboxes(settings: Settings, address: str) -> list[MailboxRow]:
    """The mailboxes of the user of this address, INBOX first. Raises UserNotFound."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return [await _mailbox_row(backend, mailbox) for mailbox in await backend.mail.mailboxes(AccountId(user.id))]


async def _mailbox_row(backend: Backend, mailbox: Mailbox) -> MailboxRow:
    snapshot = await backend.mail.snapshot(mailbox.account_id, mailbox.name)
    unread = sum(not entry.flags & Flag.SEEN for entry in snapshot.entries)
    return MailboxRow(mailbox.name, mailbox.messages, unread, mailbox.octets, mailbox.special_use)


async def _profile(backend: Backend, user: User) -> Profile:
    account_id = AccountId(user.id)
    mailboxes = await backend.mail.mailboxes(account_id)
    now = datetime.now(UTC)
    keys = await backend.accounts.keys(user.id)
    return Profile(
        user,
        await backend.accounts.addresses(user.id),
        await backend.mail.usage(account_id),
        sum(mailbox.messages for mailbox in mailboxes),
        len(mailboxes),
        sum(key.revoked is None and (key.expires is None or key.expires > now) for key in keys),
    )


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
