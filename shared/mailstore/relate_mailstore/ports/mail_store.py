"""`MailStore`, the sum of the ports of mail; and `ActingStore`, whose changes name their author in the event log."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from relate_mailstore.change_events import Actor
from relate_mailstore.ports.live import LiveStore
from relate_mailstore.ports.mailboxes import MailboxStore
from relate_mailstore.ports.messages import MessageStore
from relate_mailstore.ports.raw import RawStore
from relate_mailstore.ports.search import SearchStore
from relate_mailstore.types import AccountId, MailboxNotice


class MailStore(RawStore, SearchStore, LiveStore, MailboxStore, MessageStore, Protocol):
    """The mail of all accounts. Every method may raise StoreUnavailable."""

    # --- Accounts

    async def usage(self, account_id: AccountId) -> int:
        """The octets of all mailboxes of an account."""

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Raise OverQuota if another `octets` would exceed `quota` (None = no limit).

        For a refusal before the content is sent: only `deliver` is exact, because it sees concurrent deliveries.
        """

    # --- Locks and notifications

    def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the account's maildrop lock, exclusive over all processes (RFC 1939 §4).

        Raises MaildropInUse on entry if another session still holds it after `wait_seconds`.
        """

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Iterate over the account's notices, from every process. For a slow reader notices coalesce; none is lost.

        A notice of `live_types.NO_MAILBOX` tells of outcomes.
        """

    # --- Operation

    async def ping(self) -> None:
        """Query the database, for readiness checks. Raises StoreUnavailable."""

    async def close(self) -> None:
        """Finish accepted deliveries, then close the connections."""


class ActingStore(MailStore, Protocol):
    """A store that can tell the event log which service changes mail."""

    def acting(self, actor: Actor) -> MailStore:
        """The same store, whose changes the event log tells of: appended, read for the first time, moved, deleted.

        In the transaction of the change, but for what was read, which is stored soon after it, once per message.
        """
