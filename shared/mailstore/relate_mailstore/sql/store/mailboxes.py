"""Mailboxes: their names, and the state of each."""

from collections.abc import Collection, Sequence
from functools import partial

from relate_mailstore.mailbox_names import deletable_name
from relate_mailstore.sql import mailboxes
from relate_mailstore.sql.store.base import StoreBase
from relate_mailstore.sql.upkeep import tombstones
from relate_mailstore.sql.write import namespace
from relate_mailstore.types import INBOX, AccountId, Mailbox, MailboxId, ModSeq, Snapshot, Uid


class SqlMailboxStore(StoreBase):
    """`MailboxStore`."""

    async def provision(self, account_id: AccountId) -> None:
        """Create INBOX and the special-use mailboxes."""
        await namespace.provision(self._database, self._committer, account_id)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name."""
        return await self._named(account_id, name, partial(self._reading.snapshots.mailbox, account_id))

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes of an account."""
        return await mailboxes.list_mailboxes(self._database, account_id)

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox; an account without any is provisioned first."""
        await self.provision(account_id)
        work = partial(namespace.create_mailbox, account_id=account_id, name=name, special_use=special_use)
        return await self._committer.run_without_notice(work)

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Delete a mailbox and its entries."""

        async def delete(name: str) -> None:
            work = partial(namespace.delete_mailbox, account_id=account_id, name=name)
            await self._committer.run(self._telling()(work), removes=True)

        await self._named(account_id, deletable_name(name), delete)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and all below it, or move the messages of INBOX."""
        work = partial(namespace.rename_mailbox, account_id=account_id, name=name, new_name=new_name)
        await self._committer.run(self._telling()(work))

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The subscribed names."""
        return await namespace.list_subscriptions(self._database, account_id)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add or remove a subscription."""
        work = partial(namespace.subscribe, account_id=account_id, name=name, subscribed=subscribed)
        await self._committer.run_without_notice(work)

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries."""
        return await self._named(account_id, name, partial(self._reading.snapshots.snapshot, account_id))

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The same mailbox as it is now; no query unless a notice of it was received."""
        return await self._reading.snapshots.refresh(snapshot)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Take the \\Recent flag; a write only if there are such messages."""
        recent = await namespace.take_recent(self._database, self._committer, account_id, mailbox_id, until)
        self._reading.snapshots.update_recent(mailbox_id, recent.first_after)
        return recent.first

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`; None below the mailbox's horizon."""
        return await tombstones.vanished(self._database, account_id, mailbox_id, modseq)
