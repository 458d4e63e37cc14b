"""Imports the mailboxes of a source into an account, one transaction per batch.

Batches are atomic and in the order of the source, so that a repeated import continues after the last batch of an
interrupted one.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Protocol

from relate.transfer.deduplication import StoredMessages
from relate.transfer.flags import MailboxKeywords
from relate.transfer.report import TransferReport
from relate_mailstore.errors import MailboxExists, MailboxNotFound, TooManyMailboxes
from relate_mailstore.mailbox_names import parents
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, NewMessage

# A transaction costs as much as several messages; a larger one would lock the account's mailboxes for too long.
BATCH_MESSAGES = 100
BATCH_OCTETS = 8 * 1024 * 1024


class SourceFolder(Protocol):
    """A mailbox of a source, with its target name."""

    @property
    def name(self) -> str:
        """The target mailbox in the account."""

    @property
    def special_use(self) -> str:
        """The special use (RFC 6154); "" for none."""

    @property
    def subscribed(self) -> bool:
        """Whether the account subscribes to the target mailbox."""

    def batches(self, stored: StoredMessages, report: TransferReport) -> AsyncIterator[Sequence[NewMessage]]:
        """Yield the messages in order, without those known to be stored, which are counted. Raises TransferError."""


class Importer:
    """An import into one account; `quota` is its limit in octets, None for no limit."""

    def __init__(self, store: MailStore, account_id: AccountId, quota: int | None, report: TransferReport) -> None:
        self._store = store
        self._account_id = account_id
        self._quota = quota
        self._report = report
        # Shared between folders with the same target, so that each stored message is matched once.
        self._stored: dict[str, StoredMessages] = {}

    async def run(self, folders: Iterable[SourceFolder]) -> None:
        """Import all folders. Raises OverQuota, TransferError, StoreUnavailable; batches stored until then remain."""
        await self._store.provision(self._account_id)
        for folder in folders:
            try:
                name = await self._open_mailbox(folder)
            except TooManyMailboxes:
                self._report.add_skipped(folder.name, "the account has the maximum number of mailboxes")
                continue
            await self._import_folder(folder, name)

    async def _import_folder(self, folder: SourceFolder, name: str) -> None:
        keywords = MailboxKeywords((await self._store.snapshot(self._account_id, name)).keywords)
        if name not in self._stored:
            self._stored[name] = await StoredMessages.load(self._store, self._account_id, name)
        stored = self._stored[name]
        async for batch in folder.batches(stored, self._report):
            new = [
                self._with_valid_keywords(message, keywords) for message in batch if not await stored.match(message.raw)
            ]
            self._report.add_present(len(batch) - len(new))
            if new:
                await self._store.append(self._account_id, name, new, quota=self._quota)
                self._report.add_transferred(len(new), sum(len(message.raw) for message in new))

    async def _open_mailbox(self, folder: SourceFolder) -> str:
        """Open the target mailbox, creating it and its parents if missing; returns its name."""
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
                return  # its parents exist too

    def _with_valid_keywords(self, message: NewMessage, keywords: MailboxKeywords) -> NewMessage:
        valid = keywords.accept(message.keywords)
        self._report.keywords_dropped += len(message.keywords) - len(valid)
        return NewMessage(message.raw, message.flags, valid, message.internal_date)


def split_batches(messages: Iterable[NewMessage]) -> Iterator[Sequence[NewMessage]]:
    """Split messages into batches of one transaction each; a message larger than a batch is stored alone."""
    batch: list[NewMessage] = []
    octets = 0
    for message in messages:
        if batch and (len(batch) >= BATCH_MESSAGES or octets + len(message.raw) > BATCH_OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(message)
        octets += len(message.raw)
    if batch:
        yield batch
