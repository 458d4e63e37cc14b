"""Runs the queue: claims what is due, attempts it over a few connections for each destination, tells the results.

The rows of the queue are claimed in a short transaction, the conversations happen outside of any, and one durable
transaction tells the results of a message's recipients together with the reports to its sender. A runner that dies
loses nothing: its leases end. If it dies between the other server's reply and that transaction, the message is sent
twice, which cannot be avoided (RFC 5321 §4.2.5, RFC 1047).
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from secrets import token_bytes
from uuid import uuid4

import structlog

from relate_mailstore.envelope_ids import sign_envelope
from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.ports import QueueStore, Suppressions
from relate_mailstore.queue_types import AttemptResult, Claimed, QueueState
from relate_mailstore.types import Delivery, Destination
from relate_relay.attempt.sender import Result, Sender
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import Observer
from relate_relay.client.results import Outcome
from relate_relay.destinations import Destinations
from relate_relay.message import SignedMessage
from relate_relay.reports.report import make_report
from relate_relay.reports.rules import report_due
from relate_relay.reports.types import DeliveryResult, ReportedMessage
from relate_relay.schedule import Schedule
from relate_relay.settlement import Moment, Settled, settle
from relate_relay.signing_keys import KeySource
from relate_relay.suppression import SuppressionFilter
from relate_relay.traced import TracedAttempts
from relate_supervisor import Supervisor

log = structlog.get_logger(__name__)

CLAIM_RECIPIENTS = 500  # at a time, of all destinations
DESTINATION_RECIPIENTS = 100  # of one destination, and of one transaction (RFC 5321 §4.5.3.1.8)
LEASE_SECONDS = 1800.0
ATTEMPT_SECONDS = 900.0  # of an attempt: it begins in the first half of a lease, so that it ends within it
GRACE_SECONDS = 10.0  # for the attempts that run at the end
STORE_RETRY_SECONDS = 1.0  # while the store is unavailable


@dataclass(frozen=True, slots=True)
class Group:
    """The recipients of one message and destination, and when they were claimed (monotonic seconds)."""

    recipients: Sequence[Claimed]
    claimed_at: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What a runner follows. `name` is unique among runners, `server_name` is the name in reports.

    `envelope_secret` signs the envelope identifiers by which reports of other servers are recognised.
    """

    name: str
    server_name: str
    schedule: Schedule = field(default_factory=Schedule)
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)
    envelope_secret: bytes = field(default_factory=token_bytes, repr=False)


class Runner:
    """One runner of the queue; a process has one. `make_sender` makes the sender to a destination."""

    def __init__(  # noqa: PLR0917 - what it composes
        self,
        queue: QueueStore,
        make_sender: Callable[[str], Sender],
        destinations: Destinations,
        attempts: TracedAttempts,
        keys: KeySource,
        suppressions: Suppressions,
        rules: Rules,
        supervisor: Supervisor,
    ) -> None:
        self._queue = queue
        self._make_sender = make_sender
        self._destinations = destinations
        self._attempts = attempts
        self._keys = keys
        self._suppressions = SuppressionFilter(suppressions)
        self._rules = rules
        self._supervisor = supervisor
        self._backlog: defaultdict[str, deque[Group]] = defaultdict(deque)  # claimed, by destination
        self._leased: Counter[str] = Counter()  # recipients, by destination
        self._connections: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set; then end within GRACE_SECONDS. Raises StoreUnavailable."""
        watching = asyncio.create_task(self._watch(stopping))
        try:
            while not stopping.is_set():
                self._woken.clear()
                await self._claim()
                await self._wait()
        finally:
            watching.cancel()
            await self._end(watching)

    async def _end(self, watching: asyncio.Task[None]) -> None:
        """Give back what was not attempted, and let the running attempts end."""
        groups = [group for backlog in self._backlog.values() for group in backlog]
        self._backlog.clear()
        now = self._rules.now()
        unused = [
            AttemptResult(each.lease, QueueState.QUEUED, each.reply, each.status, each.trace, next_attempt=now)
            for group in groups
            for each in group.recipients
        ]
        if unused:
            await self._queue.settle(unused)
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()  # their leases end
        await asyncio.wait([watching, *self._connections])

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Wake the runner at changes of the queue, of any process, and at the end."""
        ending = asyncio.create_task(stopping.wait())
        ending.add_done_callback(lambda _: self._woken.set())
        try:
            async with self._queue.changes() as changes:
                async for _ in changes:
                    self._woken.set()
        finally:
            ending.cancel()

    async def _wait(self) -> None:
        """Wait for a change, the end of a connection, or the next time at which something is due."""
        closed = [domain for domain in self._leased | self._suspended() if not self._destinations.free(domain)]
        with self._supervisor.tracing.poll():
            due = await self._queue.next_due(closed)
        delays = [seconds for seconds in self._destinations.suspended().values() if seconds > 0]
        if due is not None:
            delays.append(max(0.0, due - self._rules.now()))
        with suppress(TimeoutError):
            async with asyncio.timeout(min(delays, default=None)):
                await self._woken.wait()

    def _suspended(self) -> Counter[str]:
        return Counter(dict.fromkeys(self._destinations.suspended(), 1))

    async def _claim(self) -> None:
        """Claim what is due, for destinations that have a free connection, and open connections."""
        busy = {
            domain: leased if self._destinations.free(domain) else DESTINATION_RECIPIENTS
            for domain, leased in (self._leased | self._suspended()).items()
        }
        claimed = await self._queue.claim(
            self._rules.name, CLAIM_RECIPIENTS, LEASE_SECONDS, DESTINATION_RECIPIENTS, busy
        )
        claimed_at = time.monotonic()
        by_message = sorted(claimed, key=lambda each: (each.domain, each.message_id))
        for (domain, _), recipients in groupby(by_message, key=lambda each: (each.domain, each.message_id)):
            group = Group(tuple(recipients), claimed_at)
            self._backlog[domain].append(group)
            self._leased[domain] += len(group.recipients)
        for domain in list(self._backlog):
            for _ in range(min(self._destinations.free(domain), len(self._backlog[domain]))):
                self._open_connection(domain)

    def _open_connection(self, domain: str) -> None:
        self._destinations.opened(domain)
        task = asyncio.create_task(self._serve(domain), name="relay.connection")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        self._supervisor.watch("relay.connection", task)

    async def _serve(self, domain: str) -> None:
        """Attempt the messages of a destination one after another, over one connection."""
        sender = self._make_sender(domain)
        try:
            while groups := self._backlog.get(domain):
                group = groups.popleft()
                try:
                    await self._attempt(sender, domain, group)
                finally:
                    self._leased[domain] -= len(group.recipients)
        finally:
            self._leased += Counter()  # forget those without recipients
            if not self._backlog.get(domain):
                self._backlog.pop(domain, None)
            await sender.close()
            self._destinations.closed(domain)
            self._woken.set()

    async def _attempt(self, sender: Sender, domain: str, group: Group) -> None:
        if time.monotonic() - group.claimed_at > LEASE_SECONDS - ATTEMPT_SECONDS:
            return  # another runner may claim them before the attempt ends
        first = group.recipients[0]
        with self._attempts.attempt(domain, len(group.recipients), [first.origin]) as attempt:
            raw = await (await self._queue.open(first.message_id)).read()

            async def send(recipients: Sequence[Claimed]) -> Sequence[Result]:
                sent = await self._send(sender, recipients, raw, attempt.observer)
                self._note(domain, sent)
                return sent

            results = await self._suppressions.send(group.recipients, send)
            attempt.finish(results)
            moment = Moment(self._rules.now(), self._rules.random)
            settled = [
                settle(claimed, result, self._rules.schedule, moment, attempt.trace_id)
                for claimed, result in zip(group.recipients, results, strict=True)
            ]
            await self._settle(first, raw, settled)

    async def _send(
        self, sender: Sender, recipients: Sequence[Claimed], raw: bytes, observer: Observer
    ) -> list[Result]:
        first = recipients[0]
        to = tuple([Recipient(each.address, each.notify, each.orcpt) for each in recipients])
        envid = first.envid or sign_envelope(
            self._rules.envelope_secret, first.message_id, first.account_id, first.domain
        )
        envelope = Envelope(first.sender, to, first.size, first.is_8bit, first.is_utf8, first.ret, envid)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                message = SignedMessage(raw, await self._keys.find(raw, first.sender), self._rules.now)
                return await sender.send(envelope, message, observer)
        except TimeoutError:
            text = "the attempt took too long"
            return [Result(each, Outcome.TEMPORARY, "4.4.2", text, is_reached=False) for each in to]
        except ValueError:
            text = "the address cannot be sent"
            return [Result(each, Outcome.PERMANENT, "5.1.3", text) for each in to]

    def _note(self, domain: str, results: Iterable[Result]) -> None:
        """Tell the destinations whether a server was reached. A domain that does not exist is not dead."""
        unreached = [each for each in results if not each.is_reached]
        if not unreached:
            if self._destinations.reached(domain):
                log.info("destination resumed", destination=domain)
        elif any(each.outcome is Outcome.TEMPORARY for each in unreached) and self._destinations.failed(domain):
            log.warning("destination suspended", destination=domain, error=unreached[0].text)

    def _report(self, first: Claimed, raw: bytes, told: Sequence[DeliveryResult]) -> list[Delivery]:
        expires_at = first.arrived + self._rules.schedule.max_age_seconds
        message = ReportedMessage(
            first.sender, True, raw, first.size, first.arrived, expires_at, first.ret, first.envid
        )
        report = report_due(message, told)
        if report is None:
            return []
        written = make_report(report, server_name=self._rules.server_name, report_id=uuid4().hex, now=self._rules.now())
        return [Delivery(written, (Destination(first.account_id),))]

    async def _settle(self, first: Claimed, raw: bytes, settled: Sequence[Settled]) -> None:
        """Store the results, however long the store is away: another attempt would be a second copy.

        A lost lease means that another runner has claimed the recipient: its own result counts.
        """
        takes_reports = True
        while settled:
            told = [each.told for each in settled if each.told is not None]
            reports = self._report(first, raw, told) if takes_reports else []
            try:
                lost = await self._queue.settle([each.result for each in settled], reports)
            except StoreUnavailable:
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except StoreError as refused:  # the sender's mailbox takes no report: it is full, or gone
                log.warning("report not stored", error=type(refused).__name__)
                takes_reports = False
            else:
                if lost:
                    log.warning("lease lost", destination=first.domain, recipients=len(lost))
                settled = [each for each in settled if each.result.lease not in lost] if lost else ()
