"""`QueueStore` in memory: the recipients by id, and the messages that they own."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from relate_mailstore import queue_rules
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.event_types import Event
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.queue_rules import Schedule
from relate_mailstore.queue_types import (
    FINAL_STATES,
    WAITING_STATES,
    AttemptResult,
    Claimed,
    Lease,
    Outgoing,
    OutgoingRecipient,
    QueuedRecipient,
    QueueFilter,
    QueuePage,
    QueueState,
    QueueStatistics,
    RecipientId,
    StsPolicy,
    Suspension,
)
from relate_mailstore.suppression_types import Suppression
from relate_mailstore.types import Delivery, MessageId
from relate_mailstore.wakes import Wakes


@dataclass(slots=True)
class _Recipient:
    """A row of the queue, with its message."""

    id: RecipientId
    message_id: MessageId
    to: OutgoingRecipient
    outgoing: Outgoing
    raw: MemoryRawMessage
    arrived: float
    schedule: Schedule
    runner: str = ""
    attempts: int = 0
    reply: str = ""
    status: str = ""
    trace: str = ""
    delay_told: bool = False

    def claimed(self, suspended: str, is_probe: bool) -> Claimed:
        """What the runner receives."""
        return Claimed(
            self.id,
            self.message_id,
            self.outgoing.account_id,
            self.outgoing.sender,
            self.to.address,
            self.to.domain,
            self.to.notify,
            self.to.orcpt,
            self.outgoing.ret,
            self.outgoing.envid,
            self.raw.size,
            self.outgoing.is_8bit,
            self.outgoing.is_utf8,
            self.outgoing.header_message_id,
            self.raw.origin,
            self.arrived,
            self.attempts,
            self.reply,
            self.status,
            self.trace,
            self.delay_told,
            suspended,
            is_probe,
        )

    def events(self, was: Schedule) -> Sequence[Event]:
        """What the event log tells of an operator's change."""
        name = queue_rules.told(was, self.schedule)
        if name is None:
            return ()
        event = Event(
            name,
            account_id=self.outgoing.account_id,
            message_id=self.message_id,
            header_message_id=self.outgoing.header_message_id,
            sender=self.outgoing.sender,
            recipient=self.to.address,
        )
        return (event,)

    def listed(self) -> QueuedRecipient:
        """What an operator sees."""
        return QueuedRecipient(
            self.id,
            self.message_id,
            self.outgoing.account_id,
            self.outgoing.sender,
            self.to.address,
            self.to.domain,
            self.schedule.state,
            self.schedule.requested,
            self.raw.size,
            self.outgoing.header_message_id,
            self.raw.origin,
            self.arrived,
            self.schedule.due,
            self.attempts,
            self.reply,
            self.status,
            self.trace,
        )


@dataclass(slots=True)
class _Suspension:
    """Why a destination is suspended, and until when: in seconds since the epoch."""

    reply: str
    until: float
    probes: int = 0


class MemoryQueue:
    """`QueueStore` without persistence.

    `deliver` stores reports, all or none, `tell` events, `suppress` entries of the suppression list. `clock` returns
    seconds since the epoch.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[Delivery]], object],
        tell: Callable[[Sequence[Event]], None],
        suppress: Callable[[Sequence[Suppression]], None],
        clock: Callable[[], float],
    ) -> None:
        self._deliver = deliver
        self._tell = tell
        self._suppress = suppress
        self._clock = clock
        self._ids = map(RecipientId, itertools.count(1))
        self._recipients: dict[RecipientId, _Recipient] = {}
        self._wakes = Wakes()
        self._latest = float("inf")
        self._beats: Counter[str] = Counter()
        self._suspensions: dict[str, _Suspension] = {}
        self._policies: dict[str, StsPolicy] = {}

    def add(self, message_id: MessageId, outgoing: Outgoing, raw: bytes, origin: str | None, reply: str = "") -> None:
        """Queue a message for its recipients; `reply` says why it is held."""
        now, content = self._clock(), MemoryRawMessage(raw, origin)
        due = outgoing.due or now
        schedule = Schedule(QueueState.HELD, None) if outgoing.is_held else Schedule(QueueState.QUEUED, due)
        for to in outgoing.recipients:
            row = _Recipient(next(self._ids), message_id, to, outgoing, content, now, schedule, reply=reply)
            self._recipients[row.id] = row
        self._wakes.wake()

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        """Lease recipients that are due."""
        now = self._clock()
        if now < self._latest:
            self._pull_back(now)
        self._latest = now
        chosen = sorted(self._choose(now, limit, per_destination, busy), key=lambda row: row.id)
        if chosen:
            self._beats[runner] += 1
        for row in chosen:
            row.schedule, row.runner, row.attempts = queue_rules.LEASED, runner, row.attempts + 1
        probes = self._probe(chosen, now)
        replies = {domain: each.reply for domain, each in self._suspensions.items()}
        return [
            row.claimed("" if is_probe else replies.get(row.to.domain, ""), is_probe)
            for row in chosen
            for is_probe in [probes.get(row.to.domain) == row.message_id]
        ]

    async def beat(self, runner: str) -> Mapping[str, int]:
        """Count a beat of a runner."""
        self._beats[runner] += 1
        return dict(self._beats)

    async def end_leases(self, runners: Collection[str]) -> int:
        """Make what runners have leased due at once, or what an operator requested."""
        for runner in runners:
            self._beats.pop(runner, None)
        leased = [row for row in self._recipients.values() if row.runner in runners]
        ended = self._apply(leased, queue_rules.end_lease, self._clock())
        self._remove_finished()
        self._wakes.wake()
        return ended

    async def suspend(self, domain: str, reply: str) -> None:
        """Suspend a destination."""
        until = self._clock() + queue_rules.probe_pause(0)
        self._suspensions.setdefault(domain, _Suspension(reply, until))

    async def resume(self, domain: str) -> None:
        """End the suspension of a destination."""
        if self._suspensions.pop(domain, None) is None:
            return
        now = self._clock()
        for row in self._matching(QueueFilter(domain=domain, state=QueueState.QUEUED)):
            if row.status.startswith(queue_rules.DESTINATION_REPLY_STATUS):
                row.schedule = queue_rules.retry(row.schedule, now)
        self._wakes.wake()

    async def settle(
        self,
        results: Sequence[AttemptResult],
        deliveries: Sequence[Delivery] = (),
        events: Sequence[Event] = (),
    ) -> Sequence[Lease]:
        """Store results, deliveries and events, or nothing if a lease is lost."""
        held = {
            Lease(row.id, row.attempts) for row in self._recipients.values() if row.schedule.state is QueueState.LEASED
        }
        lost = [result.lease for result in results if result.lease not in held]
        if lost:
            return lost
        self._tell(events)
        self._deliver(deliveries)
        self._suppress([result.suppression for result in results if result.suppression])
        for result in results:
            row = self._recipients[result.lease.recipient_id]
            was, row.schedule = row.schedule, queue_rules.settle(row.schedule, result)
            if row.schedule.state is not result.state:
                self._tell(row.events(was))
            row.reply, row.status, row.trace = result.reply, result.status, result.trace
            row.delay_told = row.delay_told or result.delay_told
        self._remove_finished()
        self._wakes.wake()
        return []

    async def next_due(self, except_domains: Collection[str] = ()) -> float | None:
        """When the first recipient is due."""
        waiting = (row for row in self._recipients.values() if row.to.domain not in except_domains)
        return min((row.schedule.due for row in waiting if row.schedule.due is not None), default=None)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        """Iterate over the changes of what is due."""
        with self._wakes.subscribe() as wake:
            yield wake.changes()

    async def open(self, message_id: MessageId) -> MemoryRawMessage:
        """Open the raw message of a recipient in the queue."""
        for row in self._recipients.values():
            if row.message_id == message_id:
                return row.raw
        raise MessageNotFound(f"message {message_id} in the queue")

    async def find(self, query: QueueFilter, limit: int, cursor: RecipientId | None = None) -> QueuePage:
        """One page of the recipients that match."""
        found = [row.listed() for row in self._matching(query) if row.id > (cursor or 0)]
        page = tuple(found[:limit])
        return QueuePage(page, page[-1].recipient_id if len(found) > limit else None)

    async def hold(self, query: QueueFilter) -> int:
        """See `QueueStore.hold`."""
        return self._change(query, queue_rules.hold)

    async def release(self, query: QueueFilter) -> int:
        """Queue held recipients that match."""
        return self._change(query, queue_rules.release)

    async def retry(self, query: QueueFilter) -> int:
        """Make recipients that match due at once."""
        now = self._clock()
        for row in self._matching(query):
            suspension = self._suspensions.get(row.to.domain)
            if suspension and queue_rules.retry(row.schedule, now) != row.schedule:
                suspension.until = now
        return self._change(query, queue_rules.retry)

    async def drop(self, query: QueueFilter) -> int:
        """See `QueueStore.drop`."""
        return self._change(query, queue_rules.drop)

    async def statistics(self) -> QueueStatistics:
        """Count the recipients by state."""
        rows = self._recipients.values()
        waiting = [row.arrived for row in rows if row.schedule.state in WAITING_STATES]
        suspended = len(self._suspended())
        return QueueStatistics(Counter(row.schedule.state for row in rows), min(waiting, default=None), suspended)

    async def suspensions(self, limit: int) -> Sequence[Suspension]:
        """The suspended destinations for which mail waits."""
        found = [(domain, self._suspensions[domain]) for domain in sorted(self._suspended())[:limit]]
        return [Suspension(domain, each.reply, each.until) for domain, each in found]

    async def sts_policies(self, limit: int) -> Sequence[StsPolicy]:
        """The policies that have not expired."""
        now = self._clock()
        valid = [policy for policy in self._policies.values() if policy.expires > now]
        return sorted(valid, key=lambda policy: policy.fetched)[-limit:]

    async def store_sts_policy(self, policy: StsPolicy) -> None:
        """Store the policy of a domain."""
        self._policies[policy.domain] = policy

    def _suspended(self) -> Collection[str]:
        due = {row.to.domain for row in self._recipients.values() if row.schedule.due is not None}
        return due & self._suspensions.keys()

    def _choose(self, now: float, limit: int, per_destination: int, busy: Mapping[str, int]) -> list[_Recipient]:
        due = [row for row in self._recipients.values() if row.schedule.due is not None and row.schedule.due <= now]
        by_domain: dict[str, list[_Recipient]] = {}
        for row in sorted(due, key=lambda row: row.schedule.due or 0.0):
            by_domain.setdefault(row.to.domain, []).append(row)
        allowed = (rows[: max(0, per_destination - busy.get(domain, 0))] for domain, rows in by_domain.items())
        return [*itertools.islice(itertools.chain.from_iterable(allowed), limit)]

    def _probe(self, rows: Sequence[_Recipient], now: float) -> Mapping[str, MessageId]:
        """The messages that probe suspended destinations, by destination."""
        probes: dict[str, MessageId] = {}
        for row in rows:
            suspension = self._suspensions.get(row.to.domain)
            if suspension and queue_rules.is_probe_due(suspension.until, now):
                suspension.probes += 1
                suspension.until = now + queue_rules.probe_pause(suspension.probes)
                probes[row.to.domain] = row.message_id
        return probes

    def _pull_back(self, now: float) -> None:
        for row in self._recipients.values():
            if row.schedule.due is not None and row.schedule.due > now + queue_rules.MAX_AHEAD_SECONDS:
                row.schedule = row.schedule._replace(due=now)

    def _change(self, query: QueueFilter, rule: queue_rules.Change) -> int:
        changed = self._apply(self._matching(query), rule, self._clock())
        self._remove_finished()
        self._wakes.wake()
        return changed

    def _apply(self, rows: Sequence[_Recipient], rule: queue_rules.Change, now: float) -> int:
        changed = 0
        for row in rows:
            was, row.schedule = row.schedule, rule(row.schedule, now)
            if row.schedule != was:
                changed += 1
                self._tell(row.events(was))
        return changed

    def _matching(self, query: QueueFilter) -> list[_Recipient]:
        return [row for row in self._recipients.values() if _matches(row, query)]

    def _remove_finished(self) -> None:
        unfinished = {row.message_id for row in self._recipients.values() if row.schedule.state not in FINAL_STATES}
        for row in [*self._recipients.values()]:
            if row.message_id not in unfinished:
                del self._recipients[row.id]


def _matches(row: _Recipient, query: QueueFilter) -> bool:
    return (
        query.recipient_id in {None, row.id}
        and query.message_id in {None, row.message_id}
        and query.domain in {None, row.to.domain}
        and query.account_id in {None, row.outgoing.account_id}
        and query.state in {None, row.schedule.state}
        and (query.older_than is None or row.arrived < query.older_than)
    )
