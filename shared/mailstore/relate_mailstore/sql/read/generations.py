"""Cache generations of accounts: they invalidate cached messages of an account after removals by other processes.

A message never changes, but any process may remove it. Contents are cached under their account's generation, and a new
generation invalidates all of them. A process that received every notice evicts the messages that notices name, and
keeps the generation. Where it may have missed one (it was not listening, or SQLite's file has changed) it queries the
account's removal counts, and begins a new generation if they have changed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.tables import mailboxes, namespaces
from relate_mailstore.types import AccountId, MailboxId

# Measured with tracemalloc.
GENERATION_OCTETS = 480
COUNT_OCTETS = 100  # of a mailbox in `Counts.expunged`

# Per mailbox the UIDs that were assigned and have no entry any more, and the newest UIDVALIDITY of the account.
_COUNT = (
    select(mailboxes.c.id, mailboxes.c.uid_next - 1 - mailboxes.c.messages, namespaces.c.uid_validity)
    .outerjoin(namespaces, namespaces.c.account_id == mailboxes.c.account_id)
    .where(mailboxes.c.account_id == bindparam("account_id"))
)


class Counts(NamedTuple):
    """Removal counts of an account. While they are equal no mailbox was created and no message was removed."""

    expunged: dict[MailboxId, int]  # UIDs
    uid_validity: int | None  # the newest, which every new mailbox raises


class Generation:
    """A part of cache keys, compared by identity, for one account.

    It was confirmed in `epoch` (see `freshness`). `counts` were read since it began; None if they were not.
    `removals` counts the evictions of single messages since the generation began.
    """

    __slots__ = ("account_id", "counts", "epoch", "removals")

    def __init__(self, account_id: AccountId, epoch: object, counts: Counts | None = None) -> None:
        self.account_id = account_id
        self.epoch = epoch
        self.counts = counts
        self.removals = 0


class Generations:
    """The generation of each account whose contents are cached.

    `epoch` may lag behind by milliseconds; `latest_epoch` does not.
    """

    def __init__(
        self, database: Database, epoch: Callable[[], object], latest_epoch: Callable[[], object], caches: Caches
    ) -> None:
        self._database = database
        self._epoch = epoch
        self._latest_epoch = latest_epoch
        self._current = caches.add("generations", _weigh)

    async def confirm(self, account_id: AccountId) -> Generation:
        """The account's valid generation; a query only if a removal may have been missed. Raises StoreUnavailable."""
        known = self._current.get(account_id)
        if known is None:
            return self._begin(Generation(account_id, self._latest_epoch()))
        if known.epoch is not None and known.epoch == self._epoch():
            return known
        epoch = self._latest_epoch()  # before the counts: an expunge after them belongs to a later epoch
        counts = await self._count(account_id)
        current = self._current.peek(account_id)
        if current is not known:  # evicted during the query; another one may have begun
            return current or self._begin(Generation(account_id, epoch, counts))
        if known.counts != counts:
            return self._begin(Generation(account_id, epoch, counts))
        known.epoch = epoch
        return known

    def current(self, account_id: AccountId) -> Generation | None:
        """The generation of an account; None if nothing of it is cached."""
        return self._current.peek(account_id)

    def expire(self, account_id: AccountId) -> None:
        """Invalidate all cached contents of an account."""
        self._current.pop(account_id)

    def on_commit(self, committed: Committed[Any]) -> None:
        """Apply a commit of this process to the counts. The removed messages are evicted one by one."""
        for delta in committed.deltas:
            generation = self._current.peek(delta.mailbox.account_id)
            if generation is None or generation.counts is None or not delta.removed_uids:
                continue
            expunged, before = generation.counts.expunged, delta.mailbox.uid_next - 1 - delta.mailbox.messages
            if expunged.get(delta.mailbox.id) == before:  # else a removal by another process was missed
                expunged[delta.mailbox.id] = before + len(delta.removed_uids)

    async def _count(self, account_id: AccountId) -> Counts:
        rows = await self._database.fetch_inline(_COUNT, {"account_id": account_id})
        expunged = {MailboxId(mailbox_id): count for mailbox_id, count, _ in rows}
        return Counts(expunged, rows[0][2] if rows else None)

    def _begin(self, generation: Generation) -> Generation:
        self._current.put(generation.account_id, generation)
        return generation


def _weigh(generation: Generation) -> int:
    return GENERATION_OCTETS + (COUNT_OCTETS * len(generation.counts.expunged) if generation.counts else 0)
