"""Cache generations of accounts: which cached contents may still be answered with.

A message never changes, but any process may remove it. Contents are cached under their account's generation, and a new
generation evicts all of them. A process that hears of every removal evicts the messages that notices name, and keeps
the generation. Where it may have missed one (it was not listening, or SQLite's file has changed) it asks the database
for the account's counts of removals, and begins a new generation where they have changed.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.tables import mailboxes, namespaces
from relate_mailstore.types import AccountId, MailboxId

MAX_ACCOUNTS = 20_000  # whose generation a process knows: some 10 MB; of any other it has no contents cached

# All UIDs that were given out, but for those that still are entries; and the newest UIDVALIDITY of the account.
_COUNT = (
    select(mailboxes.c.id, mailboxes.c.uid_next - 1 - mailboxes.c.messages, namespaces.c.uid_validity)
    .outerjoin(namespaces, namespaces.c.account_id == mailboxes.c.account_id)
    .where(mailboxes.c.account_id == bindparam("account_id"))
)


class Counts(NamedTuple):
    """Of an account, at one moment. As long as they are the same, no mailbox was created, no message removed."""

    expunged: dict[MailboxId, int]  # UIDs
    uid_validity: int | None  # the newest, which every new mailbox raises


class Generation:
    """A part of the keys of caches, compared by identity, for one account.

    It is confirmed as of `epoch` (see `heard`), with the `counts` of a moment since it began, None where they were not
    asked for. `removals` counts the evictions of single messages since the generation began.
    """

    __slots__ = ("account_id", "counts", "epoch", "removals")

    def __init__(self, account_id: AccountId, epoch: object, counts: Counts | None = None) -> None:
        self.account_id = account_id
        self.epoch = epoch
        self.counts = counts
        self.removals = 0


class Generations:
    """The generation of each account whose contents are cached.

    `epoch` is that of `Heard`, and may lag behind a moment; `latest_epoch` does not.
    """

    def __init__(self, database: Database, epoch: Callable[[], object], latest_epoch: Callable[[], object]) -> None:
        self._database = database
        self._epoch = epoch
        self._latest_epoch = latest_epoch
        self._current: OrderedDict[AccountId, Generation] = OrderedDict()

    async def confirm(self, account_id: AccountId) -> Generation:
        """The generation whose contents are those of messages that are there.

        A query only where a removal may have been missed. Raises StoreUnavailable.
        """
        known = self._current.get(account_id)
        if known is None:
            return self._begin(Generation(account_id, self._latest_epoch()))
        if known.epoch is not None and known.epoch == self._epoch():
            return known
        epoch = self._latest_epoch()  # before the counts: what is expunged after them belongs to a later epoch
        counts = await self._count(account_id)
        current = self._current.get(account_id)
        if current is not known:  # it expired meanwhile, and another may have begun
            return current or self._begin(Generation(account_id, epoch, counts))
        if known.counts != counts:
            return self._begin(Generation(account_id, epoch, counts))
        known.epoch = epoch
        return known

    def current(self, account_id: AccountId) -> Generation | None:
        """The generation of an account of which contents are cached."""
        return self._current.get(account_id)

    def expire(self, account_id: AccountId) -> None:
        """Evict all contents of an account."""
        self._current.pop(account_id, None)

    def on_commit(self, committed: Committed[Any]) -> None:
        """Count the removals of this process, which it evicts one by one, so that the counts still match."""
        for step in committed.deltas:
            generation = self._current.get(step.mailbox.account_id)
            if generation is None or generation.counts is None or not step.removed_uids:
                continue
            expunged, before = generation.counts.expunged, step.mailbox.uid_next - 1 - step.mailbox.messages
            if expunged.get(step.mailbox.id) == before:  # else another process's removal was missed
                expunged[step.mailbox.id] = before + len(step.removed_uids)

    async def _count(self, account_id: AccountId) -> Counts:
        rows = await self._database.glance(_COUNT, {"account_id": account_id})
        expunged = {MailboxId(mailbox_id): count for mailbox_id, count, _ in rows}
        return Counts(expunged, rows[0][2] if rows else None)

    def _begin(self, generation: Generation) -> Generation:
        self._current[generation.account_id] = generation
        if len(self._current) > MAX_ACCOUNTS:
            self._current.popitem(last=False)
        return generation
