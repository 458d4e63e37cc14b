"""What changed since a client was told last."""

from collections.abc import Sequence

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.memory.store.base import StoreBase
from relate_mailstore.types import AccountId, MailboxId, Uid


class MemoryLiveStore(StoreBase):
    """`LiveStore` in memory."""

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """The entries with these UIDs; none of a mailbox that was deleted."""
        try:
            return self._account(account_id).mailbox_by_id(mailbox_id).arrived(since, before, limit)
        except MailboxNotFound:
            return []

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """The changed and expunged entries of a span."""
        return self._account(account_id).mailbox_by_id(mailbox_id).changes(span, limit)

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Store an account's outcomes from now on."""
        return self._parts.outcomes.follow(account_id)

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """The outcomes after a number."""
        return self._parts.outcomes.page(account_id, after, limit)

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Remove an account's outcomes and webhooks."""
        await self._parts.webhooks.forget(account_id)
        self._parts.outcomes.forget(account_id)
