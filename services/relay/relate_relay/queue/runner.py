"""Runs the queue: claims what is due, has it attempted, and takes over from runners that have died.

The rows of the queue are claimed in a short transaction, the conversations happen outside of any, and one durable
transaction tells the results of a message's recipients together with the reports to its sender. A runner that dies
loses nothing: the others end its leases. If it dies between the other server's reply and that transaction, the message
is sent twice, which cannot be avoided (RFC 5321 §4.2.5, RFC 1047).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby

import structlog

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import Claimed
from relate_mailstore.wakes import Alarm
from relate_relay.attempt.sender import Sender
from relate_relay.queue.attempter import Attempter
from relate_relay.queue.connections import DESTINATION_RECIPIENTS, Connections, Group
from relate_relay.queue.destinations import Destinations
from relate_relay.queue.liveness import Liveness
from relate_relay.queue.rules import Rules
from relate_relay.queue.settler import STORE_RETRY_SECONDS
from relate_supervisor import Supervisor

log = structlog.get_logger(__name__)

CLAIM_RECIPIENTS = 500  # at a time, of all destinations
CLAIM_PAUSE_SECONDS = 0.05  # from one claim to the next: each costs as much as several messages
GRACE_SECONDS = 3.0  # for the attempts that run at the end; a part of the shutdown budget
MAX_MISSED_BEATS = 6  # then a runner is dead


class Runner:
    """One runner of the queue; a process has one. `make_sender` makes the sender to a destination.

    `destinations` are those that `attempter` notes its results in.
    """

    def __init__(  # noqa: PLR0917 - what it composes
        self,
        queue: QueueStore,
        attempter: Attempter,
        make_sender: Callable[[str], Sender],
        destinations: Destinations,
        rules: Rules,
        supervisor: Supervisor,
    ) -> None:
        self._queue = queue
        self._destinations = destinations
        self._rules = rules
        self._supervisor = supervisor
        self._alarm = Alarm(queue.changes, rules.now)
        self._connections = Connections(destinations, make_sender, attempter.attempt, self._alarm.ring, supervisor)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set; then end within GRACE_SECONDS."""
        tasks = [
            self._supervisor.keep("relay.changes", self._alarm.watch),
            self._supervisor.keep("relay.beat", self._beat),
            asyncio.create_task(self._wake_at(stopping)),
        ]
        try:
            while not stopping.is_set():
                await self._claim_or_wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._end()

    async def _end(self) -> None:
        """Let the running attempts end, and give back what was not attempted."""
        await self._connections.end(GRACE_SECONDS)
        try:
            await self._queue.end_leases([self._rules.name])
        except StoreUnavailable:
            log.warning("leases not given back", hint="another relay, or the next start, ends them")

    async def _wake_at(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._alarm.ring()

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
        """Claim what is due, then wait until more may be, and not longer than until the next is due."""
        self._alarm.reset()
        claimed_at = time.monotonic()
        try:
            await self._claim()
            due = await self._next_due()
        except StoreUnavailable:
            due = self._rules.now() + STORE_RETRY_SECONDS
        await self._alarm.wait_until(due)
        # Under load what arrives meanwhile is claimed together; a message that comes alone is claimed at once.
        await asyncio.sleep(max(0.0, claimed_at + CLAIM_PAUSE_SECONDS - time.monotonic()))

    async def _claim(self) -> None:
        """Claim what is due, as much as the connections can take, and have it attempted."""
        busy = self._connections.busy()
        claimed = await self._queue.claim(self._rules.name, CLAIM_RECIPIENTS, DESTINATION_RECIPIENTS, busy)
        for domain, groups in _by_destination(claimed).items():
            if not any(each.suspended or each.is_probe for group in groups for each in group):
                self._destinations.resume(domain)  # another relay has reached it
            self._connections.add(domain, groups)

    async def _next_due(self) -> float | None:
        """When something is due, of destinations of which more may be claimed."""
        full = [domain for domain, leased in self._connections.busy().items() if leased >= DESTINATION_RECIPIENTS]
        with self._supervisor.tracing.poll():
            return await self._queue.next_due(full)


def _by_destination(claimed: Sequence[Claimed]) -> dict[str, list[Group]]:
    """What was claimed, by destination, and for each of them by message."""
    groups: defaultdict[str, list[Group]] = defaultdict(list)
    by_message = sorted(claimed, key=lambda each: (each.domain, each.message_id))
    for (domain, _), recipients in groupby(by_message, key=lambda each: (each.domain, each.message_id)):
        groups[domain].append(tuple(recipients))
    return groups
