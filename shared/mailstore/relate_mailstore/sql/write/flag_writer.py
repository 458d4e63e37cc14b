"""The queue of flag changes, and the choice between the optimistic statement and the transaction that locks first."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from relate_mailstore.change_events import ChangedBy
from relate_mailstore.errors import StoreError, StoreFull
from relate_mailstore.sql.deltas import MailboxKey
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.flags import FlagRequest, FlagResult, change_flags
from relate_mailstore.sql.write.flags_optimistic import apply_optimistically
from relate_mailstore.sql.write.group_commit import GroupCommit
from relate_mailstore.types import AccountId, Flag, FlagChange, Flagged, MailboxId, ModSeq, Snapshot, Uid
from relate_supervisor import Supervisor

BATCH_UIDS = 1_000  # of all requests together: locks the mailboxes for about 10 ms; a larger request goes alone

Cached = Callable[[Iterable[MailboxKey]], Mapping[MailboxKey, Snapshot]]


class FlagWriter:
    """Changes flags in batches.

    `cached` returns those of some mailboxes that are in the cache, current or not. `optimistic`: try the statement of
    `flags_optimistic` first. It saves round trips, so not on SQLite, whose transaction is a single call to a thread.
    """

    def __init__(self, committer: Committer, cached: Cached, optimistic: bool, supervisor: Supervisor) -> None:
        self._committer = committer
        self._cached = cached
        self._optimistic = optimistic
        self._queue: GroupCommit[FlagRequest, Flagged] = GroupCommit(
            self._change_batch, supervisor, "mailstore.flag_writer", BATCH_UIDS
        )

    def start(self) -> None:
        """Start the writer task."""
        self._queue.start()

    async def close(self) -> None:
        """Finish the queued requests and refuse new ones."""
        await self._queue.close()

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None,
        *,
        by: ChangedBy | None,
    ) -> Flagged:
        """See `MailStore.set_flags`. `by` is the author of the change, for the event log."""
        key = MailboxKey(account_id, mailbox_id)
        return await self._queue.submit(FlagRequest(key, sorted(set(uids)), change, unchanged_since, by))

    async def _change_batch(self, batch: Sequence[FlagRequest]) -> Sequence[FlagResult]:
        cached = self._cached({request.key for request in batch})
        # With many entries the round trips are the smaller part of the cost.
        if not self._optimistic or sum(request.weight for request in batch) > BATCH_UIDS:
            return await self._lock_and_change(batch, cached)
        results = await self._committer.run_statement(partial(apply_optimistically, batch=batch, cached=cached))
        rest = [request for request, result in zip(batch, results, strict=True) if result is None]
        remaining = iter(await self._lock_and_change(rest, cached) if rest else ())
        return [next(remaining) if result is None else result for result in results]

    async def _lock_and_change(
        self, batch: Sequence[FlagRequest], cached: Mapping[MailboxKey, Snapshot]
    ) -> Sequence[Flagged | StoreError]:
        work = partial(change_flags, batch=batch, cached=cached)
        try:
            return await self._committer.run_batch(work, durable=False)
        except StoreFull:
            if not any(request.change.add & Flag.DELETED for request in batch):
                raise
        return await self._committer.run_batch(work, removes=True)  # \Deleted comes before the EXPUNGE that frees space
