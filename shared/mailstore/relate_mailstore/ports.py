"""What sessions and endpoints ask of a store. One method is one transaction; errors are those of `errors`.

Three implementations pass one contract suite (`tests/contract`): memory, SQLite, PostgreSQL. Every method that reads
or writes mail names its account, so that rows can be spread by account without a change in a protocol.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from relate_mailstore.types import (
    INBOX,
    AccountId,
    Change,
    Delivery,
    Entry,
    FlagChange,
    Listed,
    Mailbox,
    MailboxId,
    MessageId,
    MessageQuery,
    Page,
    Receipt,
    Snapshot,
)


class RawMessage(Protocol):
    """A raw message, opened for reading."""

    @property
    def size(self) -> int:
        """Octets of the whole message."""

    @property
    def origin(self) -> str | None:
        """The traceparent of the transaction that delivered it."""

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop) in bounded chunks. Raises MessageNotFound, StoreUnavailable."""

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop) at once: for what is known to be small."""


class MailStore(Protocol):
    """The mail of all accounts. Every method may raise StoreUnavailable."""

    async def provision(self, account_id: AccountId) -> None:
        """Give an account INBOX and the special-use mailboxes (RFC 6154). Harmless when repeated."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message and enter it for every destination; returns when that is durable.

        An account without mailboxes is provisioned. Raises MailboxNotFound for any other missing mailbox.
        """

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota unless `octets` more fit under `quota` octets (None = no limit)."""

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name (INBOX in any case). Raises MailboxNotFound."""

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries. Unchanged since the last call in this process, it costs one small query.

        Raises MailboxNotFound.
        """

    async def open(self, account_id: AccountId, message_id: MessageId) -> RawMessage:
        """Open a raw message of this account for reading. Raises MessageNotFound."""

    async def read_ahead(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        """A hint: these will be opened next. Small ones are fetched together."""

    async def message(self, account_id: AccountId, message_id: MessageId) -> Listed:
        """One message with its index and flags. Raises MessageNotFound."""

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        """One page of the messages that match, newest first."""

    async def set_flags(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], change: FlagChange
    ) -> Sequence[Entry]:
        """Change flags of entries; the entries as they are now, in UID order; vanished UIDs are left out."""

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> Listed:
        """Change flags of a message in every mailbox it is entered in. Raises MessageNotFound."""

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        """Remove entries for good; the UIDs that were there, ascending. Each is removed once, whoever asks."""

    async def delete_message(self, account_id: AccountId, message_id: MessageId) -> None:
        """Remove a message from every mailbox of this account (and of no other). Raises MessageNotFound."""

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop, over all processes (RFC 1939 §4).

        Raises MaildropInUse on entry when somebody else holds it, and goes on holding it for `patience` seconds.
        """

    def changes(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Subscribe to the account's changes, from every process. Slow readers see changes merged, never lost."""

    async def ping(self) -> None:
        """Answer, or raise StoreUnavailable: for readiness checks."""

    async def close(self) -> None:
        """Finish what was accepted, then let go of the database."""
