"""The queue of outgoing mail."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from relate_mailstore.event_types import Event
from relate_mailstore.ports.raw import RawMessage
from relate_mailstore.queue_types import (
    AttemptResult,
    Claimed,
    Lease,
    QueueFilter,
    QueuePage,
    QueueStatistics,
    RecipientId,
    StsPolicy,
    Suspension,
)
from relate_mailstore.types import Delivery, MessageId


class QueueStore(Protocol):
    """Outgoing mail: a row per recipient, queued by `MailStore.deliver`. Every method may raise StoreUnavailable.

    Runners of several processes share the queue. A delivery is attempted at least once: if a runner ends between the
    other server's reply and the commit of `settle`, the recipient is attempted again when the runner's leases end.
    """

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        """Lease up to `limit` recipients that are due, in the order in which their destinations became due.

        Of each destination at most `per_destination` less its number in `busy` (recipients by domain that this runner
        has leased), so that one with many does not hide others. Of a suspended destination whose probe is due the
        first message is the probe, of one runner, and the next probe is due after a pause. A lease lasts until its
        result, or until `end_leases`. Durable at the return.
        """

    async def beat(self, runner: str) -> Mapping[str, int]:
        """Show the other runners that this one lives; the number of beats of each runner, by its name."""

    async def end_leases(self, runners: Collection[str]) -> int:
        """Make due at once what these runners have leased, because they have ended, and forget them; how many.

        What an operator requested of a recipient takes effect.
        """

    async def suspend(self, domain: str, reply: str) -> None:
        """Suspend a destination, because of a reply, for the first pause before a probe. Idempotent."""

    async def resume(self, domain: str) -> None:
        """End a suspension, and make due at once what waits because the destination was not reached. Idempotent."""

    async def settle(
        self, results: Sequence[AttemptResult], deliveries: Sequence[Delivery] = (), events: Sequence[Event] = ()
    ) -> Sequence[Lease]:
        """Store the results of attempts, deliveries (reports to local senders) and events in one durable transaction.

        Messages whose recipients are all in a final state leave the queue. A lease is lost when the recipient was
        claimed again, or its result is stored already, so that a repeated call changes nothing: then nothing at all is
        stored, and the lost leases are returned. Raises MailboxNotFound, OverQuota for a delivery; nothing is stored.
        """

    async def next_due(self, except_domains: Collection[str] = ()) -> float | None:
        """When the first recipient is due, in seconds since the epoch; None if none waits for an attempt.

        Without those of some destinations: a runner names the ones that it does not connect to now.
        """

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over changes of what is due, by every process. They coalesce; the last one is never lost."""

    async def open(self, message_id: MessageId) -> RawMessage:
        """Open the raw message of a recipient in the queue. Raises MessageNotFound."""

    async def find(self, query: QueueFilter, limit: int, cursor: RecipientId | None = None) -> QueuePage:
        """One page of the recipients that match; `cursor` is `next_cursor` of the page before."""

    async def hold(self, query: QueueFilter) -> int:
        """Hold the queued recipients that match; the number of those that were changed. Leased ones as `drop`."""

    async def release(self, query: QueueFilter) -> int:
        """Queue the held recipients that match, due at once, and take back the request to hold leased ones."""

    async def retry(self, query: QueueFilter) -> int:
        """Make the queued recipients that match due at once; the number of those that were not.

        Their destinations, if suspended, are probed at once.
        """

    async def drop(self, query: QueueFilter) -> int:
        """Cancel the recipients that match and are not in a final state; the number of those that were changed.

        A leased recipient is not changed: the request takes effect when its lease ends without a final result.
        """

    async def statistics(self) -> QueueStatistics:
        """Counts for metrics: one query that reads the queue once."""

    async def suspensions(self, limit: int) -> Sequence[Suspension]:
        """At most `limit` suspended destinations for which mail waits, by domain."""

    async def sts_policies(self, limit: int) -> Sequence[StsPolicy]:
        """The policies that were fetched last and have not expired, the newest last."""

    async def store_sts_policy(self, policy: StsPolicy) -> None:
        """Store the policy of a domain in place of its last one, so that it holds after a restart (RFC 8461 §10.2)."""
