"""Administration of users, keys and mailboxes, directly on the database: no server needs to run."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from relate import database_discovery
from relate.errors import CommandError
from relate.output import print_note
from relate.settings import Settings
from relate_accounts.addresses import canonical_address, canonical_domain
from relate_accounts.errors import SelectorExists, UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import ApiKey, Domain, DomainKey, NewKey, Scope, User
from relate_api.autoconfig.mta_sts import policy_record
from relate_mailstore.change_events import Actor
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import QueuedRecipient, QueueFilter
from relate_mailstore.sql.driver.engine import describe_url, open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.suppression_types import Suppression, SuppressionSource
from relate_mailstore.types import AccountId, Flag, Mailbox
from relate_relay.dkim.key_directory import InvalidKeyName, KeyDirectory, KeyFault, KeyUnusable
from relate_relay.dkim.keys import SigningKeys, public_record
from relate_service import dns_records, users
from relate_service.dns_records import Servers, in_ascii, serves_web
from relate_service.housekeeping import MailAndAccounts
from relate_service.private import make_data_private
from relate_service.users import Profile
from relate_wire.published import HasPorts, endpoint

# The default scopes of a new key: what a mail client needs.
MAIL_SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP)

PAGE_ROWS = 1000


class Backend(NamedTuple):
    """The stores that administration uses."""

    accounts: AccountStore
    mail: SqlMailStore


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
        async with open_store(engine, event_rules=settings.shared.events.rules) as mail:
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
        return await users.create_user(
            backend.accounts, backend.mail, address, display_name=name, aliases=aliases, quota=quota
        )


async def list_users(settings: Settings) -> list[tuple[User, Sequence[str]]]:
    """All users with their addresses."""
    async with open_backend(settings) as backend:
        return [(user, await backend.accounts.addresses(user.id)) for user in await backend.accounts.users()]


async def add_domain(
    settings: Settings, domain: str, selector: str | None, *, prepare: bool = False
) -> tuple[DomainKey, bool]:
    """Name a domain as local, and make DKIM keys if it has none, or if a selector is given.

    Returns the newest key, and whether it is a new one. With `prepare` keys are made but not added, so that nothing is
    signed with them until the same selector is added. Raises InvalidAddress, SelectorExists, CommandError.
    """
    async with open_backend(settings) as backend:
        name = canonical_domain(domain)
        known = await backend.accounts.domain_keys(name)
        if known and selector is None and not prepare:
            await backend.accounts.add_domain(name)
            return known[0], False
        selector = selector or new_selector()
        if any(each.selector == selector for each in known):
            raise SelectorExists
        # First, because nothing may be added without its keys; they are found if the rest fails, and this is repeated.
        key = await asyncio.to_thread(_find_or_make_keys, settings.shared.key_directory, name, selector)
        if not prepare:
            await backend.accounts.add_domain(name)
            await backend.accounts.add_domain_key(key)
        return key, True


def new_selector() -> str:
    """The selector of keys that are made today."""
    return f"{datetime.now(UTC):%Y%m%d}"


def _find_or_make_keys(directory: Path, domain: str, selector: str) -> DomainKey:
    files = KeyDirectory(directory)
    try:
        keys = _find_keys(files, domain, selector) or files.generate(domain, selector)
    except (KeyUnusable, InvalidKeyName) as error:
        raise CommandError(str(error)) from None
    pair = filter(None, (keys.rsa, keys.ed25519))
    return DomainKey(domain, keys.rsa.selector, {key.record_name: public_record(key) for key in pair})


def _find_keys(files: KeyDirectory, domain: str, selector: str) -> SigningKeys | None:
    try:
        return files.load(domain, selector)
    except KeyUnusable as error:
        if error.fault is KeyFault.MISSING:
            return None
        raise


async def retire_key(settings: Settings, domain: str, selector: str) -> None:
    """Delete the keys of a selector, but not of the newest, which signs. Raises InvalidAddress, CommandError."""
    async with open_backend(settings) as backend:
        name = canonical_domain(domain)
        selectors = [key.selector for key in await backend.accounts.domain_keys(name)]
        if selector not in selectors:
            raise CommandError(f"{name} has no keys with that selector; run: relate domain list")
        if selector == selectors[0]:
            raise CommandError("mail is signed with these keys; run first: relate domain add, with another --selector")
        try:  # first, because a private key without a record would not be found again
            await asyncio.to_thread(KeyDirectory(settings.shared.key_directory).delete, name, selector)
        except (KeyUnusable, InvalidKeyName) as error:
            raise CommandError(str(error)) from None
        await backend.accounts.remove_domain_key(name, selector)


async def domain_records(settings: Settings, domain: str) -> list[str]:
    """The DNS records of a domain as lines of a zone file. Raises InvalidAddress, CommandError if it is not local."""
    name = canonical_domain(domain)
    server = in_ascii(endpoint(settings.smtp)).server
    if "." not in server:
        print_note(f"Smtp__ServerName is {server}: set it to this host's name, which the MX record needs")
    async with open_backend(settings) as backend:
        if not await backend.accounts.has_domain(name):
            raise CommandError(f"{name} is not local; run: relate domain add {name}")
        keys = await backend.accounts.domain_keys(name)
    smarthost = settings.shared.relay.smarthost.rpartition(":")[0]
    if smarthost:
        print_note(f"put into the SPF record what the manual of {smarthost} says, before ?all, and then -all for ?all")
    smtp, pop3, imap, api = [in_ascii(endpoint(each)) for each in _with_ports(settings)]
    if serves_web(api):
        print_note(f"the certificate of {api.server} needs the names autoconfig.{name} and mta-sts.{name}, too")
    return dns_records.domain_records(
        name, keys, Servers(smtp, pop3, imap, api, policy_record(settings.mta_sts, smtp.server), bool(smarthost))
    )


def _with_ports(settings: Settings) -> tuple[HasPorts, HasPorts, HasPorts, HasPorts]:
    return settings.smtp, settings.pop3, settings.imap, settings.api


async def list_domains(settings: Settings) -> list[tuple[Domain, Sequence[DomainKey]]]:
    """All local domains with their DKIM keys, the newest first."""
    async with open_backend(settings) as backend:
        accounts = backend.accounts
        return [(domain, await accounts.domain_keys(domain.name)) for domain in await accounts.domains()]


QueueChange = Callable[[QueueStore, QueueFilter], Awaitable[int]]
"""`hold`, `release`, `retry` or `drop` of a queue."""


async def list_queue(settings: Settings, query: QueueFilter, account: str | None) -> list[QueuedRecipient]:
    """The recipients of the queue that match, in the order of arrival. Raises UserNotFound for an unknown account."""
    async with open_backend(settings) as backend:
        query = await _of_account(backend, query, account)
        rows: list[QueuedRecipient] = []
        cursor = None
        while True:
            page = await backend.mail.queue.find(query, PAGE_ROWS, cursor)
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


async def list_suppressions(settings: Settings) -> list[Suppression]:
    """The suppression list, by address."""
    async with open_backend(settings) as backend:
        entries: list[Suppression] = []
        while page := await backend.mail.suppressions.page(PAGE_ROWS, entries[-1].address if entries else ""):
            entries += page
        return entries


async def add_suppression(settings: Settings, address: str, reason: str) -> Suppression:
    """Add an address to the suppression list. Raises InvalidAddress, also for a catch-all."""
    canonical = users.suppressible_address(address)
    entry = Suppression(canonical, SuppressionSource.OPERATOR, time.time(), text=reason)
    async with open_backend(settings) as backend:
        await backend.mail.suppressions.add(entry)
    return entry


async def remove_suppression(settings: Settings, address: str) -> str:
    """Remove an address from the suppression list; returns it. Raises InvalidAddress, CommandError if it has none."""
    canonical = canonical_address(address)
    async with open_backend(settings) as backend:
        if not await backend.mail.suppressions.remove(canonical):
            raise CommandError(f"{canonical} is not on the suppression list")
    return canonical


async def show_user(settings: Settings, address: str) -> Profile:
    """The user with this address and usage figures. Raises UserNotFound."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        return await users.read_profile(backend.accounts, backend.mail, user)


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
        confirm(await users.read_profile(backend.accounts, backend.mail, user))
        mail = backend.mail.acting(Actor("relate"))
        others = (backend.mail.filters, backend.mail.labels)
        addresses, messages = await users.remove_user(backend.accounts, mail, others, user, free=free)
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
