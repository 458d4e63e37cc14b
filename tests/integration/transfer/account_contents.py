"""Contents of accounts on Dovecot and in the product, for comparison before and after a transfer."""

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


class MessageContent(NamedTuple):
    """What a transfer must keep of a message; `internal_date` in seconds since the epoch."""

    digest: str
    flags: frozenset[str]
    internal_date: int


AccountContents = Mapping[str, Sequence[MessageContent]]
"""The messages of each mailbox, in order."""


def message(number: int) -> bytes:
    """A message of 100 to some thousand octets, with 8-bit octets and lines that resemble an mbox's."""
    random = Random(number)
    header = b"From: alice@example.test\r\nSubject: %d\r\nMessage-ID: <%d@example.test>\r\n\r\n" % (number, number)
    lines = [b"From Monday on", b">From here", b"caf\xe9", b"", b"a" * 70, b"\tx\0y" if number % 7 == 0 else b"."]
    return header + b"".join(random.choice(lines) + b"\r\n" for _ in range(random.randint(0, 200)))


def fill_dovecot(dovecot: Dovecot, user: str, messages: int) -> None:
    """Fill an account with this number of messages in ten folders; the last two messages of INBOX are equal."""
    with IMAPClient(HOST, dovecot.port, ssl=False) as client:
        client.login(user, PASSWORD)
        existing = {name for _, _, name in client.list_folders()}
        for folder in FOLDERS:
            if folder not in existing:
                client.create_folder(folder)
            if folder != "Lists":
                client.subscribe_folder(folder)
        for number in range(messages):
            _append(client, FOLDERS[number % len(FOLDERS)], number)
        _append(client, "INBOX", 0)


def _append(client: IMAPClient, folder: str, number: int) -> None:
    date = datetime.fromtimestamp(1_000_000_000 + number * 12_345, UTC)
    client.append(folder, message(number), FLAGS[number % len(FLAGS)], date)


def dovecot_contents(dovecot: Dovecot, user: str) -> AccountContents:
    """The contents as another IMAP client reads them."""
    contents: dict[str, Sequence[MessageContent]] = {}
    with IMAPClient(HOST, dovecot.port, ssl=False) as client:
        client.login(user, PASSWORD)
        client.normalise_times = False
        for _, _, name in client.list_folders():
            client.select_folder(name, readonly=True)
            fetched = client.fetch(client.search(), ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
            contents[name] = [
                MessageContent(
                    sha256(items[b"BODY[]"]).hexdigest(),
                    frozenset(flag.decode() for flag in items[b"FLAGS"]) - {"\\Recent"},
                    int(items[b"INTERNALDATE"].timestamp()),
                )
                for _, items in sorted(fetched.items())
            ]
    return contents


def product_contents(database: str, address: str) -> AccountContents:
    """The contents that the product stores."""
    return asyncio.run(_product_contents(database, address))


async def _product_contents(database: str, address: str) -> AccountContents:
    engine = open_engine(database)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
        async with open_store(engine) as store:
            return await store_contents(store, AccountId(user.id))
    finally:
        await engine.dispose()


async def store_contents(store: MailStore, account: AccountId) -> AccountContents:
    """The contents that a store has for an account."""
    contents: dict[str, Sequence[MessageContent]] = {}
    for mailbox in await store.mailboxes(account):
        messages = []
        for entry in (await store.snapshot(account, mailbox.name)).entries:
            raw = await (await store.open(account, entry.message_id)).read()
            names = frozenset(flag_names(entry.flags, entry.keywords))
            messages.append(MessageContent(sha256(raw).hexdigest(), names, entry.internal_date))
        contents[mailbox.name] = messages
    return contents


def subscriptions(database: str, address: str) -> frozenset[str]:
    """The mailboxes that the account is subscribed to."""
    return asyncio.run(_subscriptions(database, address))


async def _subscriptions(database: str, address: str) -> frozenset[str]:
    engine = open_engine(database)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
        async with open_store(engine) as store:
            return frozenset(await store.subscriptions(AccountId(user.id)))
    finally:
        await engine.dispose()
