"""What changed since a client was told last."""

from collections.abc import Sequence
from typing import Protocol

from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.types import AccountId, MailboxId, Uid


class LiveStore(Protocol):
    """What changed since a client was told last. Pages are bounded by `limit`."""

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """The entries with UIDs from `since` up to `before`, exclusive, ascending."""

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """The changed and expunged entries of a span; None if tombstones since then were trimmed.

        Raises MailboxNotFound.
        """

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Store the outcomes of an account's mail from now on, if that was not so; the number of the last one."""

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """The outcomes with numbers above `after`, ascending.

        None if any of them was trimmed, if there never was the number `after`, or if none are stored.
        """

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Remove an account's outcomes and webhooks, and store none from now on. Idempotent."""
