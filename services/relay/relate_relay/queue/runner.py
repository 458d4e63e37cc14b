"""Runs the queue: claims what is due, attempts it over a few connections for each destination, tells the results.

The rows of the queue are claimed in a short transaction, the conversations happen outside of any, and one durable
transaction tells the results of a message's recipients together with the reports to its sender. A runner that dies
loses nothing: the others end its leases. If it dies between the other server's reply and that transaction, the message
is sent twice, which cannot be avoided (RFC 5321 §4.2.5, RFC 1047).
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby

import structlog

from relate_mailstore.envelope_ids import sign_envelope
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.ports import QueueStore, Suppressions
from relate_mailstore.queue_types import Claimed
from relate_relay.attempt.message import SignedMessage
from relate_relay.attempt.sender import Result, Sender
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import Observer
from relate_relay.client.results import Outcome
from relate_relay.dkim.signing_keys import KeySource
from relate_relay.queue.destinations import Destinations
from relate_relay.queue.events import Attempted
from relate_relay.queue.liveness import Liveness
from relate_relay.queue.rules import Rules
from relate_relay.queue.settler import STORE_RETRY_SECONDS, Settler
from relate_relay.queue.suppression import SuppressionFilter
from relate_relay.traced import TracedAttempts
from relate_supervisor import Supervisor

log = structlog.get_logger(__name__)

CLAIM_RECIPIENTS = 500  # at a time, of all destinations
DESTINATION_RECIPIENTS = 100  # of one destination, and of one transaction (RFC 5321 §4.5.3.1.8)
ATTEMPT_SECONDS = 900.0
GRACE_SECONDS = 3.0  # for the attempts that run at the end; a part of the shutdown budget
MAX_MISSED_BEATS = 6  # then a runner is dead

Group = Sequence[Claimed]
"""The recipients of one message and destination."""


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
        self._settler = Settler(queue, rules, supervisor)
        self._backlog: defaultdict[str, deque[Group]] = defaultdict(deque)  # claimed, by destination
        self._leased: Counter[str] = Counter()  # recipients, by destination
        self._suspended: dict[str, str] = {}  # why, by destination: claimed mail that is not to be attempted
        self._connections: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set; then end within GRACE_SECONDS."""
        watching = [
            self._supervisor.keep("relay.changes", self._watch),
            self._supervisor.keep("relay.beat", self._beat),
        ]
        ending = asyncio.create_task(stopping.wait())
        ending.add_done_callback(lambda _: self._woken.set())
        try:
            while not stopping.is_set():
                await self._claim_or_wait()
        finally:
            ending.cancel()
            for task in watching:
                task.cancel()
            await asyncio.wait([ending, *watching])
            await self._end()

    async def _end(self) -> None:
        """Let the running attempts end, and give back what was not attempted."""
        self._backlog.clear()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._leased.clear()
        try:
            await self._queue.end_leases([self._rules.name])
        except StoreUnavailable:
            log.warning("leases not given back", hint="another relay, or the next start, ends them")

    async def _watch(self) -> None:
        """Wake the runner at changes of the queue, of any process."""
        async with self._queue.changes() as changes:
            async for _ in changes:
                self._woken.set()

    async def _beat(self) -> None:
        """Show that this runner lives, and end the leases of those that do not."""
        liveness = Liveness(time.monotonic, self._rules.dead_seconds)
        while True:
            with suppress(StoreUnavailable), self._supervisor.tracing.poll():
                beats = await self._queue.beat(self._rules.name)
                dead = liveness.dead(beats)
                self._destinations.runners = len(beats) - len(dead)
                if dead:
                    recipients = await self._queue.end_leases(dead)
                    log.warning("relay ended without a word", recipients=recipients)
            await asyncio.sleep(self._rules.dead_seconds / MAX_MISSED_BEATS)

    async def _claim_or_wait(self) -> None:
        self._woken.clear()
        try:
            await self._claim()
            due = await self._next_due()
        except StoreUnavailable:
            due = self._rules.now() + STORE_RETRY_SECONDS
        delay = None if due is None else max(0.0, due - self._rules.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._woken.wait()

    async def _next_due(self) -> float | None:
        """When something is due, of destinations that have a free connection."""
        closed = [domain for domain in self._leased if self._destinations.free(domain) <= 0]
        with self._supervisor.tracing.poll():
            return await self._queue.next_due(closed)

    async def _claim(self) -> None:
        """Claim what is due, for destinations that have a free connection, and open connections."""
        busy = {
            domain: leased if self._destinations.free(domain) > 0 else DESTINATION_RECIPIENTS
            for domain, leased in self._leased.items()
        }
        claimed = await self._queue.claim(self._rules.name, CLAIM_RECIPIENTS, DESTINATION_RECIPIENTS, busy)
        by_message = sorted(claimed, key=lambda each: (each.domain, each.message_id))
        for (domain, _), recipients in groupby(by_message, key=lambda each: (each.domain, each.message_id)):
            group = tuple(recipients)
            if not group[0].suspended:
                self._suspended.pop(domain, None)
            self._backlog[domain].append(group)
            self._leased[domain] += len(group)
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
            while (groups := self._backlog.get(domain)) and self._destinations.free(domain) >= 0:
                group = groups.popleft()
                try:
                    reason = group[0].suspended or self._suspended.get(domain)
                    await (self._defer(group, reason) if reason else self._attempt(sender, domain, group))
                finally:
                    self._leased[domain] -= len(group)
        finally:
            self._leased += Counter()  # forget those without recipients
            if not self._backlog.get(domain):
                self._backlog.pop(domain, None)
            await sender.close()
            self._destinations.closed(domain)
            self._woken.set()

    async def _defer(self, group: Group, reason: str) -> None:
        """Put off what is due while its destination is suspended, because a connection would only fail once more."""
        text = f"the destination is suspended: {reason}"
        results = [_temporary(each, "4.4.1", text) for each in self._envelope(group).recipients]
        await self._settler.settle(group, results, None)

    async def _attempt(self, sender: Sender, domain: str, group: Group) -> None:
        with self._attempts.attempt(domain, len(group), [group[0].origin]) as attempt:
            attempted = Attempted(self._rules.now(), attempt.trace_id, attempt.span_id)
            results = await self._send(sender, group, attempt.observer)
            attempt.finish(results)
            if sent := [each for each in results if not each.is_suppressed]:
                await self._note(domain, sent, is_probe=group[0].is_probe)
            settled = await self._settler.settle(group, results, attempted)
            attempt.measure(group, results, settled, self._rules.now())

    async def _send(self, sender: Sender, group: Group, observer: Observer) -> Sequence[Result]:
        """The result of each recipient, whatever happens: one without a result would be leased forever."""
        recipients = self._envelope(group).recipients

        async def send(allowed: Group) -> Sequence[Result]:
            return await self._send_to(sender, allowed, observer)

        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await self._suppressions.send(group, send)
        except TimeoutError:
            text = "the attempt took too long"
            return [_temporary(each, "4.4.2", text) for each in recipients]
        except ValueError:
            text = "the address cannot be sent"
            return [Result(each, Outcome.PERMANENT, "5.1.3", text) for each in recipients]
        except Exception as error:  # noqa: BLE001 - reported, and tried again
            self._supervisor.report("relay.connection", error)
            text = "internal error"
            return [Result(each, Outcome.TEMPORARY, "4.3.0", text) for each in recipients]

    async def _send_to(self, sender: Sender, group: Group, observer: Observer) -> Sequence[Result]:
        raw = await (await self._queue.open(group[0].message_id)).read()
        message = SignedMessage(raw, await self._keys.find(raw, group[0].sender), self._rules.now)
        return await sender.send(self._envelope(group), message, observer)

    async def _note(self, domain: str, results: Iterable[Result], *, is_probe: bool) -> None:
        """Note whether a server was reached, and suspend or resume. A domain that does not exist is not dead."""
        unreached = [each for each in results if not each.is_reached]
        try:
            if not unreached:
                self._destinations.reached(domain)
                if is_probe:
                    await self._queue.resume(domain)
                    log.info("destination resumed", destination=domain)
            elif any(each.outcome is Outcome.TEMPORARY for each in unreached) and self._destinations.failed(domain):
                if domain not in self._suspended:
                    log.warning("destination suspended", destination=domain, error=unreached[0].text)
                self._suspended[domain] = unreached[0].text
                await self._queue.suspend(domain, unreached[0].text)
        except StoreUnavailable:
            log.warning("suspension not stored", destination=domain)

    def _envelope(self, group: Group) -> Envelope:
        first = group[0]
        to = tuple([Recipient(each.address, each.notify, each.orcpt) for each in group])
        envid = first.envid or sign_envelope(
            self._rules.envelope_secret, first.message_id, first.account_id, first.domain
        )
        return Envelope(first.sender, to, first.size, first.is_8bit, first.is_utf8, first.ret, envid)


def _temporary(recipient: Recipient, status: str, text: str) -> Result:
    return Result(recipient, Outcome.TEMPORARY, status, text, is_reached=False)
