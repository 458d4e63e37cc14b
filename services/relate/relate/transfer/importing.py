"""The run of an import: mailbox after mailbox, in portions that are each one transaction.

A portion is stored whole or not at all and in the order of the source, so an import that was killed goes on behind the
last portion when it is run again.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Protocol

from relate.transfer.flags import MailboxKeywords
from relate.transfer.stored import StoredMessages
from relate.transfer.tally import Tally
from relate_mailstore.errors import MailboxExists, MailboxNotFound, TooManyMailboxes
from relate_mailstore.mailbox_names import parents
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, NewMessage

# A transaction costs as much as several messages do; a bigger one holds the mailboxes of the account for too long.
PORTION_MESSAGES = 100
PORTION_OCTETS = 8 * 1024 * 1024


class Folder(Protocol):
    """A mailbox of a source, with the name that it is to have here."""

    @property
    def name(self) -> str:
        """The mailbox that its messages go into."""

    @property
    def special_use(self) -> str:
        """Of RFC 6154; "" for none."""

    @property
    def subscribed(self) -> bool:
        """Whether the account is to be subscribed to it."""

    def portions(self, stored: StoredMessages, tally: Tally) -> AsyncIterator[Sequence[NewMessage]]:
        """Its messages in order. Those that it knows to be stored are left out, and counted. Raises TransferError."""


class Import:
    """Into one account. `quota`: octets that the account may hold; None for no limit."""

    def __init__(self, store: MailStore, account_id: AccountId, quota: int | None, tally: Tally) -> None:
        self._store = store
        self._account_id = account_id
        self._quota = quota
        self._tally = tally
        # Two folders of a source may go into one mailbox: a stored message is then matched with one of either.
        self._stored: dict[str, StoredMessages] = {}

    async def run(self, folders: Iterable[Folder]) -> None:
        """Import all folders. Raises OverQuota, TransferError, StoreUnavailable; what was stored until then stays."""
        await self._store.provision(self._account_id)
        for folder in folders:
            try:
                name = await self._open_mailbox(folder)
            except TooManyMailboxes:
                self._tally.skip(folder.name, "the account has as many mailboxes as an account may have")
                continue
            await self._import_folder(folder, name)

    async def _import_folder(self, folder: Folder, name: str) -> None:
        keywords = MailboxKeywords((await self._store.snapshot(self._account_id, name)).keywords)
        if name not in self._stored:
            self._stored[name] = await StoredMessages.of(self._store, self._account_id, name)
        stored = self._stored[name]
        async for portion in folder.portions(stored, self._tally):
            new = [self._fitted(message, keywords) for message in portion if not await stored.match(message.raw)]
            self._tally.find(len(portion) - len(new))
            if new:
                await self._store.append(self._account_id, name, new, quota=self._quota)
                self._tally.transfer(len(new), sum(len(message.raw) for message in new))

    async def _open_mailbox(self, folder: Folder) -> str:
        """The name of the folder's mailbox, which is made where it is missing, with those above it."""
        try:
            mailbox = await self._store.mailbox(self._account_id, folder.name)
        except MailboxNotFound:
            mailbox = await self._store.create_mailbox(self._account_id, folder.name, folder.special_use)
            await self._create_parents(mailbox.name)
        if folder.subscribed:
            await self._store.subscribe(self._account_id, mailbox.name, True)
        return mailbox.name

    async def _create_parents(self, name: str) -> None:
        for parent in parents(name):
            try:
                await self._store.create_mailbox(self._account_id, parent)
            except MailboxExists:
                return  # those above it exist

    def _fitted(self, message: NewMessage, keywords: MailboxKeywords) -> NewMessage:
        fitting = keywords.fit(message.keywords)
        self._tally.keywords_dropped += len(message.keywords) - len(fitting)
        return NewMessage(message.raw, message.flags, fitting, message.internal_date)


def in_portions(messages: Iterable[NewMessage]) -> Iterator[Sequence[NewMessage]]:
    """Messages in portions of a transaction's size; a larger message goes alone."""
    portion: list[NewMessage] = []
    octets = 0
    for message in messages:
        if portion and (len(portion) >= PORTION_MESSAGES or octets + len(message.raw) > PORTION_OCTETS):
            yield portion
            portion, octets = [], 0
        portion.append(message)
        octets += len(message.raw)
    if portion:
        yield portion
