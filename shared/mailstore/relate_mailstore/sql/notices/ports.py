"""`Notices`, the contract of `postgres` and `sqlite`: tell other sessions and processes what a transaction changed.

A notice names what changed, not the new state: a process that missed one catches up by modseq. So notices may be
merged, but a listener always receives the last one. A notice also names the messages that were removed from their
account, so that every process evicts them from its caches.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import BigInteger, Connection, Double, literal, null, select, union_all

from relate_mailstore.live_types import NO_MAILBOX
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import numbers, one_of
from relate_mailstore.sql.notices.freshness import Freshness
from relate_mailstore.sql.schema.tables import followed_accounts, mailboxes
from relate_mailstore.types import AccountId, MailboxNotice

ACCOUNTS_PER_QUERY = 1_000  # accounts with listeners whose mailboxes are looked up together

_LAST_CHANGES = union_all(
    select(
        mailboxes.c.account_id, mailboxes.c.id, mailboxes.c.highest_modseq, mailboxes.c.origin, mailboxes.c.changed
    ).where(one_of(mailboxes.c.account_id, numbers("accounts"))),
    select(
        followed_accounts.c.account_id,
        literal(NO_MAILBOX, BigInteger),
        followed_accounts.c.last_number,
        null(),
        literal(0.0, Double),
    ).where(one_of(followed_accounts.c.account_id, numbers("accounts"))),
)


class Notices(Protocol):
    """Sends notices with a transaction, and delivers them to listeners and to `freshness` in every process."""

    freshness: Freshness

    def epoch(self) -> object:
        """The epoch of `freshness`, never a cached one."""

    def advance(self, connection: Connection, committed: Committed[Any]) -> None:
        """Within the transaction: write the rows of the changed mailboxes, and send the notice if it commits."""

    def on_commit(self, committed: Committed[Any]) -> None:
        """After the commit: record it for this process."""

    async def catch_up(self) -> bool:
        """Wait until all notices of earlier commits, of any process, are recorded. False if that is impossible now."""

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the notices of an account."""

    def start(self) -> None:
        """Start receiving notices."""

    async def close(self) -> None:
        """Stop receiving notices."""


async def look_up(database: Database, accounts: Collection[AccountId]) -> Collection[MailboxNotice]:
    """A notice of the last change of each mailbox of these accounts, and of their last outcomes."""
    return [MailboxNotice(*row) for row in await database.fetch(_LAST_CHANGES, {"accounts": accounts})]
