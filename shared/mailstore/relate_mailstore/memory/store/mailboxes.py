"""Mailboxes: their names, and the state of each."""

from collections.abc import Collection, Sequence

from relate_mailstore.mailbox_names import canonical_name, deletable_name, name_order
from relate_mailstore.memory.store.base import StoreBase
from relate_mailstore.types import INBOX, AccountId, Mailbox, MailboxId, ModSeq, Snapshot, Uid


class MemoryMailboxStore(StoreBase):
    """`MailboxStore` in memory."""

    async def provision(self, account_id: AccountId) -> None:
        """Create the default mailboxes of an account. Idempotent."""
        self._account(account_id).provision()

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """A mailbox by name."""
        return self._account(account_id).mailbox(name).state

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes, by name, INBOX first."""
        mailboxes = [mailbox.state for mailbox in self._account(account_id).mailboxes.values()]
        return sorted(mailboxes, key=lambda mailbox: name_order(mailbox.name))

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox."""
        return self._account(account_id).create(canonical_name(name), special_use).state

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries. Raises ValueError for INBOX."""
        self._account(account_id).delete(deletable_name(name))
        self._tell(account_id)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and its inferiors; of INBOX, move the messages instead."""
        self._account(account_id).rename(canonical_name(name), canonical_name(new_name))
        self._tell(account_id)

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to."""
        return frozenset(self._account(account_id).subscriptions)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it."""
        self._account(account_id).subscribe(canonical_name(name), subscribed)

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries; the same object until one of them changes."""
        return self._account(account_id).mailbox(name).snapshot()

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The current state of the same mailbox; the same object if it did not change."""
        mailbox = snapshot.mailbox
        current = self._account(mailbox.account_id).mailbox_by_id(mailbox.id).snapshot()
        return snapshot if current == snapshot else current

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Advance the first recent UID to `until`; returns what it was before."""
        return self._account(account_id).mailbox_by_id(mailbox_id).take_recent(until)

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`; None if tombstones since then were dropped."""
        return self._account(account_id).mailbox_by_id(mailbox_id).vanished(modseq)
