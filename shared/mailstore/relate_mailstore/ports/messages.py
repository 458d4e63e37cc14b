"""What adds messages, changes their flags and removes them."""

from collections.abc import Collection, Sequence
from typing import Protocol

from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.types import (
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    FlagChange,
    Flagged,
    ListedMessage,
    MailboxId,
    MessageId,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Uid,
)


class MessageStore(Protocol):
    """The changes of mail, each a transaction. Every method may raise StoreUnavailable."""

    # --- Storing messages

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message, enter it for every destination and queue it, in one transaction; wait until that is durable.

        Provisions an account that has no mailboxes. Raises MailboxNotFound for any other missing mailbox, and OverQuota
        if any account would exceed its destination's quota. Mail beyond a limit of the account is queued, but held.
        For its `sending` raises MessageNotFound if the draft no longer exists, RequestRepeated if the request was
        answered within the last day.
        """

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request of the last day by which an account has sent a message with this Idempotency-Key."""

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Deliver a message that tells that mail of this account is held because of a limit.

        Once in a period of the limit, also if several processes call: then nothing is stored, and False returned.
        """

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Append messages to a mailbox, and expunge the entry (mailbox id, UID) that they replace, atomically.

        Raises MailboxNotFound, MessageNotFound if the entry to replace does not exist, and OverQuota if the account
        would exceed `quota` octets.
        """

    async def copy(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str, quota: int | None = None
    ) -> Copied:
        """Enter messages in another mailbox as well, with their flags and internal dates.

        Raises MailboxNotFound, and OverQuota if the account would exceed `quota` octets.
        """

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """`copy` and `expunge` in one transaction (RFC 6851). Raises MailboxNotFound."""

    # --- Flags and removal

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Change flags of entries, except those with a modseq above `unchanged_since`.

        Keywords are case-insensitive: see `keywords`. Raises MailboxNotFound, TooManyKeywords.
        """

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Change flags of a message in every mailbox that has it, with keywords as these mailboxes spell them.

        Raises MessageNotFound, TooManyKeywords, and MessageChanged if its state is not `expected`.
        """

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Add and remove system flags of messages in all their mailboxes, in one transaction.

        How many of them the account has; the others are skipped.
        """

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Remove entries; returns the removed UIDs, ascending. Of concurrent calls, one returns a given UID."""

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Remove a message from every mailbox of this account (and of no other).

        Raises MessageNotFound, and MessageChanged if its state is not `expected`.
        """

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Remove messages from every mailbox of this account, in one transaction; how many of them it had."""
