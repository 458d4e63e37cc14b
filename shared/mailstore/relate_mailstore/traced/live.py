"""`LiveStore`, traced."""

from collections.abc import Sequence

from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.traced.operations import TracedBase
from relate_mailstore.types import AccountId, MailboxId, Uid


class TracedLiveStore(TracedBase):
    """`LiveStore` that delegates to a store."""

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """Not traced, like the other methods of `LiveStore`: their statements are children of the push's span."""
        return await self._store.arrived(account_id, mailbox_id, since, before, limit)

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """Not traced: see `arrived`."""
        return await self._store.changes(account_id, mailbox_id, span, limit)

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Not traced: see `arrived`."""
        return await self._store.follow_outcomes(account_id)

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """Not traced: see `arrived`."""
        return await self._store.outcomes(account_id, after, limit)

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Not traced: see `arrived`."""
        await self._store.forget_subscribers(account_id)
