"""Accounts to be moved, and what is in them: on Dovecot, and in the product."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import NamedTuple

from imapclient import IMAPClient

from relate.transfer.flags import flag_names
from relate_accounts.sql import SqlAccountStore
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.support.imap.dovecot import PASSWORD, Dovecot
from tests.support.product import HOST

FOLDERS = ("INBOX", "Sent", "Drafts", "Work", "Work/2020", "Work/2021", "Bücher & Söhne", "a.b", "Lists", "日本語")
FLAGS = (
    (),
    ("\\Seen",),
    ("\\Flagged", "$Label1"),
    ("\\Seen", "\\Answered", "$Forwarded"),
    ("\\Deleted", "\\Draft", "later"),
)


class Moved(NamedTuple):
    """What may not change of a message; `internal_date` in seconds since the epoch."""

    digest: str
    flags: frozenset[str]
    internal_date: int


Manifest = Mapping[str, Sequence[Moved]]
"""The messages of each mailbox in order."""


def message(number: int) -> bytes:
    """A message of some hundred to some thousand octets, with 8-bit octets and lines that look like an mbox's."""
    random = Random(number)
    header = b"From: alice@example.test\r\nSubject: %d\r\nMessage-ID: <%d@example.test>\r\n\r\n" % (number, number)
    lines = [b"From Monday on", b">From here", b"caf\xe9", b"", b"a" * 70, b"\tx\0y" if number % 7 == 0 else b"."]
    return header + b"".join(random.choice(lines) + b"\r\n" for _ in range(random.randint(0, 200)))


def fill_dovecot(dovecot: Dovecot, user: str, messages: int) -> None:
    """An account with so many messages in ten folders; the last two messages of INBOX are the same."""
    with IMAPClient(HOST, dovecot.port, ssl=False) as client:
        client.login(user, PASSWORD)
        there = {name for _, _, name in client.list_folders()}
        for folder in FOLDERS:
            if folder not in there:
                client.create_folder(folder)
            if folder != "Lists":
                client.subscribe_folder(folder)
        for number in range(messages):
            _append(client, FOLDERS[number % len(FOLDERS)], number)
        _append(client, "INBOX", 0)


def _append(client: IMAPClient, folder: str, number: int) -> None:
    date = datetime.fromtimestamp(1_000_000_000 + number * 12_345, UTC)
    client.append(folder, message(number), FLAGS[number % len(FLAGS)], date)


def dovecot_manifest(dovecot: Dovecot, user: str) -> Manifest:
    """What another IMAP client sees there."""
    found: dict[str, Sequence[Moved]] = {}
    with IMAPClient(HOST, dovecot.port, ssl=False) as client:
        client.login(user, PASSWORD)
        client.normalise_times = False
        for _, _, name in client.list_folders():
            client.select_folder(name, readonly=True)
            fetched = client.fetch(client.search(), ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
            found[name] = [
                Moved(
                    sha256(one[b"BODY[]"]).hexdigest(),
                    frozenset(flag.decode() for flag in one[b"FLAGS"]) - {"\\Recent"},
                    int(one[b"INTERNALDATE"].timestamp()),
                )
                for _, one in sorted(fetched.items())
            ]
    return found


def product_manifest(database: str, address: str) -> Manifest:
    """What is stored in the product."""
    return asyncio.run(_product_manifest(database, address))


async def _product_manifest(database: str, address: str) -> Manifest:
    engine = open_engine(database)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
        async with open_store(engine) as store:
            return await manifest(store, AccountId(user.id))
    finally:
        await engine.dispose()


async def manifest(store: MailStore, account: AccountId) -> Manifest:
    """What is stored for an account."""
    found: dict[str, Sequence[Moved]] = {}
    for mailbox in await store.mailboxes(account):
        moved = []
        for entry in (await store.snapshot(account, mailbox.name)).entries:
            raw = await (await store.open(account, entry.message_id)).read()
            names = frozenset(flag_names(entry.flags, entry.keywords))
            moved.append(Moved(sha256(raw).hexdigest(), names, entry.internal_date))
        found[mailbox.name] = moved
    return found


def subscriptions(database: str, address: str) -> frozenset[str]:
    """What the account is subscribed to."""
    return asyncio.run(_subscriptions(database, address))


async def _subscriptions(database: str, address: str) -> frozenset[str]:
    engine = open_engine(database)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
        async with open_store(engine) as store:
            return frozenset(await store.subscriptions(AccountId(user.id)))
    finally:
        await engine.dispose()
