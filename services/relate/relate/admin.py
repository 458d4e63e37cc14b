"""Administration of users, keys and mailboxes, directly on the database: no server needs to run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from relate import database_discovery
from relate.output import print_note
from relate.settings import Settings
from relate_accounts.errors import UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import ApiKey, Domain, NewKey, Scope, User
from relate_mailstore.erase import erase
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import QueuedRecipient, QueueFilter
from relate_mailstore.sql.driver.engine import describe_url, open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, Flag, Mailbox
from relate_service.housekeeping import MailAndAccounts
from relate_service.private import make_data_private

# The default scopes of a new key: what a mail client needs.
MAIL_SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP)

QUEUE_PAGE_RECIPIENTS = 1000


class Backend(NamedTuple):
    """The stores that administration uses."""

    accounts: AccountStore
    mail: SqlMailStore


class Profile(NamedTuple):
    """A user with usage figures; `addresses` starts with the primary one, `usage` is in octets."""

    user: User
    addresses: Sequence[str]
    usage: int
    messages: int
    mailboxes: int
    usable_keys: int


class Removed(NamedTuple):
    """The result of a removal: the addresses of the user, and those that are available to other users now."""

    addresses: Sequence[str] = ()
    messages: int = 0
    freed: Sequence[str] = ()


class MailboxRow(NamedTuple):
    """A row of `relate mailbox list`; `use` is the special use (RFC 6154)."""

    name: str
    messages: int
    unread: int
    octets: int
    use: str


@asynccontextmanager
async def open_backend(settings: Settings) -> AsyncIterator[Backend]:
    """Open the stores on a migrated database; prints a note if the database is new."""
    engine = await _open_migrated_engine(settings)
    try:
        async with open_store(engine) as mail:
            yield Backend(SqlAccountStore(engine, settings.shared.accounts.hash_secret()), mail)
    finally:
        await engine.dispose()


async def migrate_database(settings: Settings) -> None:
    """Migrate the database to the latest schema."""
    await (await _open_migrated_engine(settings)).dispose()


async def _open_migrated_engine(settings: Settings) -> AsyncEngine:
    url = settings.shared.database.default_connection
    make_data_private(url)
    engine = open_engine(url)
    try:
        if not await migrate(engine):
            return engine
    except BaseException:
        await engine.dispose()
        raise
    print_note(f"created a new database at {describe_url(url)}")
    if settings.discovered is not None:
        database_discovery.record_database(url)
    return engine


async def collect_garbage(settings: Settings) -> int:
    """Delete messages that no mailbox refers to, and blobs that no message refers to; returns the number of rows."""
    async with open_backend(settings) as backend:
        return await MailAndAccounts(backend.mail, backend.accounts).collect_garbage()


async def add_user(settings: Settings, address: str, name: str, aliases: Collection[str], quota: int | None) -> User:
    """Add a user and the default mailboxes. Raises UserExists, AddressBlocked, InvalidAddress."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.add_user(address, name, aliases, quota)
        await backend.mail.provision(AccountId(user.id))
        return user


async def list_users(settings: Settings) -> list[tuple[User, Sequence[str]]]:
    """All users with their addresses."""
    async with open_backend(settings) as backend:
        return [(user, await backend.accounts.addresses(user.id)) for user in await backend.accounts.users()]


async def add_domain(settings: Settings, domain: str) -> str:
    """Name a domain as local; returns it in A-labels. Raises InvalidAddress."""
    async with open_backend(settings) as backend:
        return await backend.accounts.add_domain(domain)


async def list_domains(settings: Settings) -> Sequence[Domain]:
    """All local domains."""
    async with open_backend(settings) as backend:
        return await backend.accounts.domains()


QueueChange = Callable[[QueueStore, QueueFilter], Awaitable[int]]
"""`hold`, `release`, `retry` or `drop` of a queue."""


async def list_queue(settings: Settings, query: QueueFilter, account: str | None) -> list[QueuedRecipient]:
    """The recipients of the queue that match, in the order of arrival. Raises UserNotFound for an unknown account."""
    async with open_backend(settings) as backend:
        query = await _of_account(backend, query, account)
        rows: list[QueuedRecipient] = []
        cursor = None
        while True:
            page = await backend.mail.queue.find(query, QUEUE_PAGE_RECIPIENTS, cursor)
            rows += page.items
            if page.next_cursor is None:
                return rows
            cursor = page.next_cursor


async def change_queue(settings: Settings, change: QueueChange, query: QueueFilter, account: str | None) -> int:
    """Change the recipients that match; the number of those that were changed. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        return await change(backend.mail.queue, await _of_account(backend, query, account))


async def _of_account(backend: Backend, query: QueueFilter, account: str | None) -> QueueFilter:
    if account is None:
        return query
    user = await backend.accounts.user_by_address(account)
    return replace(query, account_id=AccountId(user.id))


async def show_user(settings: Settings, address: str) -> Profile:
    """The user with this address and usage figures. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        return await _profile(backend, await backend.accounts.user_by_address(address))


async def remove_user(
    settings: Settings, address: str, confirm: Callable[[Profile], None], *, free: bool = False
) -> Removed:
    """Remove the user with this address, all keys and all mail. `confirm` may raise to cancel.

    With `free` the addresses are available to other users immediately; an address that is already blocked is released.
    Raises UserNotFound.
    """
    async with open_backend(settings) as backend:
        try:
            user = await backend.accounts.user_by_address(address)
        except UserNotFound:
            if free and await backend.accounts.free_address(address):
                return Removed(freed=(address,))
            raise
        confirm(await _profile(backend, user))
        # The user is removed before the mail, so that no further mail is delivered.
        addresses = await backend.accounts.remove_user(user.id, free=free)
        messages = await erase(backend.mail, AccountId(user.id))
        await backend.mail.collect_garbage()
        return Removed(addresses, messages, addresses if free else ())


async def set_alias(settings: Settings, address: str, alias: str, *, add: bool) -> Sequence[str]:
    """Add an address to the user with this address, or remove it; returns all addresses of the user.

    Raises UserNotFound, UserExists, AddressBlocked, AddressNotFound, InvalidAddress.
    """
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        change = backend.accounts.add_alias if add else backend.accounts.remove_alias
        return await change(user.id, alias)


async def set_quota(settings: Settings, address: str, quota: int | None) -> User:
    """Set the quota of the user with this address, in octets. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.set_quota(user.id, quota)


async def list_mailboxes(settings: Settings, address: str) -> list[MailboxRow]:
    """The mailboxes of the user with this address, INBOX first. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return [await _mailbox_row(backend, mailbox) for mailbox in await backend.mail.mailboxes(AccountId(user.id))]


async def _mailbox_row(backend: Backend, mailbox: Mailbox) -> MailboxRow:
    snapshot = await backend.mail.snapshot(mailbox.account_id, mailbox.name)
    unread = snapshot.entries.with_flag(Flag.SEEN).count(0)
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
    """Disable or enable the user with this address. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.set_disabled(user.id, disabled)


async def create_key(
    settings: Settings, address: str, name: str, scopes: Collection[Scope], expires: datetime | None
) -> NewKey:
    """Create a key for the user with this address. Raises UserNotFound, TooManyKeys, InvalidKeyName."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.create_key(user.id, name, scopes, expires)


async def list_keys(settings: Settings, address: str) -> Sequence[ApiKey]:
    """The keys of the user with this address, including revoked ones. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.keys(user.id)


async def revoke_key(settings: Settings, address: str, key_id: int) -> ApiKey:
    """Revoke a key. Raises UserNotFound, KeyNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await backend.accounts.revoke_key(user.id, key_id)
