"""Mailboxes: their names, and the state of each."""

from collections.abc import Collection, Sequence
from typing import Protocol

from relate_mailstore.types import INBOX, AccountId, Mailbox, MailboxId, ModSeq, Snapshot, Uid


class MailboxStore(Protocol):
    """The mailboxes and subscriptions of accounts. Every method may raise StoreUnavailable."""

    async def provision(self, account_id: AccountId) -> None:
        """Create INBOX and the special-use mailboxes (RFC 6154) of an account. Idempotent."""

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """A mailbox by name (INBOX in any case). Raises MailboxNotFound.

        In every method, a name without an exact match means the mailbox whose name has the same normal form.
        """

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account, by name, INBOX first."""

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox, its name in Normalization Form C, its UIDVALIDITY the highest that the account ever had.

        Raises TooManyMailboxes, and MailboxExists, also for a name that has the same normal form.
        """

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries, but not its inferiors.

        Raises MailboxNotFound, and ValueError for INBOX.
        """

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and its inferiors. For INBOX, move its messages to the new mailbox (RFC 9051 §6.3.6).

        Raises MailboxNotFound if neither the mailbox nor an inferior exists, MailboxExists if any new name does,
        InvalidMailboxName if any new name would be too long.
        """

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to, with or without a mailbox of that name."""

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it; idempotent. `provision` subscribes to all mailboxes.

        Raises TooManyMailboxes for more names than an account may have mailboxes.
        """

    # --- State of a mailbox

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries. Costs one small query if the process has the current state cached.

        Raises MailboxNotFound.
        """

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The current state of the same mailbox, by its id. The same object, without a query, if it did not change.

        Commits of this process are visible at once, others' when their notice arrives (within milliseconds). Raises
        MailboxNotFound if the mailbox was deleted.
        """

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Advance `first_recent_uid` and return what it was: from there on messages are \\Recent (RFC 3501 §2.3.2).

        Takes all UIDs, or those below `until`; 0 takes none. Writes only if there are any. Raises MailboxNotFound.
        """

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`, ascending; None if tombstones since then were trimmed (RFC 7162 §3.2.5.1).

        Raises MailboxNotFound.
        """
