"""`MailboxStore`, traced."""

from collections.abc import Collection, Sequence

from relate_mailstore.traced.operations import TracedBase
from relate_mailstore.types import INBOX, AccountId, Mailbox, MailboxId, ModSeq, Snapshot, Uid


class TracedMailboxStore(TracedBase):
    """`MailboxStore` that delegates to a store, with a span for each call."""

    async def provision(self, account_id: AccountId) -> None:
        """Traced as `mailstore.provision`."""
        with self._span("provision", account_id):
            await self._store.provision(account_id)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """Traced as `mailstore.mailbox`."""
        with self._span("mailbox", account_id):
            return await self._store.mailbox(account_id, name)

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """Traced as `mailstore.mailboxes`."""
        with self._span("mailboxes", account_id) as operation:
            mailboxes = await self._store.mailboxes(account_id)
            operation.set("mailstore.mailboxes", len(mailboxes))
            return mailboxes

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """Traced as `mailstore.snapshot`."""
        with self._span("snapshot", account_id) as operation:
            snapshot = await self._store.snapshot(account_id, name)
            operation.set("mailstore.messages", len(snapshot.entries))
            return snapshot

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """Not traced: nearly always nothing changed, and then the call costs less than a span."""
        return await self._store.refresh(snapshot)

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Traced as `mailstore.create_mailbox`."""
        with self._span("create_mailbox", account_id):
            return await self._store.create_mailbox(account_id, name, special_use)

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Traced as `mailstore.delete_mailbox`."""
        with self._span("delete_mailbox", account_id):
            await self._store.delete_mailbox(account_id, name)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Traced as `mailstore.rename_mailbox`."""
        with self._span("rename_mailbox", account_id):
            await self._store.rename_mailbox(account_id, name, new_name)

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """Traced as `mailstore.subscriptions`."""
        with self._span("subscriptions", account_id) as operation:
            names = await self._store.subscriptions(account_id)
            operation.set("mailstore.names", len(names))
            return names

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Traced as `mailstore.subscribe`."""
        with self._span("subscribe", account_id):
            await self._store.subscribe(account_id, name, subscribed)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Traced as `mailstore.take_recent`."""
        with self._span("take_recent", account_id):
            return await self._store.take_recent(account_id, mailbox_id, until)

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """Traced as `mailstore.vanished`."""
        with self._span("vanished", account_id) as operation:
            vanished = await self._store.vanished(account_id, mailbox_id, modseq)
            if vanished is not None:
                operation.set("mailstore.entries", len(vanished))
            return vanished
