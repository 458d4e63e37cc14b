"""A system that sends, in this process: runners on a database, each with a store of its own, as in its own process.

    async with Internet() as internet, System(url, internet, runners=3).running() as system:
        sink = await internet.domain("there.test")
        await system.submit("bob@there.test")
        await system.until(system.is_empty)

On SQLite all runners use one store, because there all of them are in one process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes
from email.message import Message as ParsedMessage
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import Any

from relate_mailstore.event_types import Event
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import (
    AttemptResult,
    Lease,
    Outgoing,
    OutgoingRecipient,
    QueuedRecipient,
    QueueFilter,
)
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, Delivery
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.names import to_ascii
from relate_outbound.dns.ports import Dns
from relate_outbound.dns.resolver import Resolver, parse_resolver
from relate_relay.attempt.connector import Connector, Options, Policies
from relate_relay.attempt.requirement import Contexts
from relate_relay.attempt.sender import Sender
from relate_relay.dkim.keys import SigningKeys
from relate_relay.queue.attempter import Attempter
from relate_relay.queue.destinations import MAX_CONNECTIONS, Destinations
from relate_relay.queue.liveness import DEAD_SECONDS
from relate_relay.queue.rules import Rules
from relate_relay.queue.runner import Runner
from relate_relay.queue.schedule import Schedule
from relate_relay.routing.mta_sts import Lookup
from relate_relay.routing.ourselves import Ourselves
from relate_relay.traced import TracedAttempts, TracedDns
from relate_supervisor import Supervisor
from relate_telemetry.telemetry import Telemetry, no_telemetry
from tests.support.relay.internet import Internet

TIMEOUT_SECONDS = 60.0
SERVER_NAME = "here.test"
SENDER = "ann@example.test"
ANN = AccountId(1)
RAW = (
    b"From: Ann <ann@example.test>\r\nTo: someone\r\nSubject: Lunch\r\nMessage-ID: <1@example.test>\r\n\r\nAt noon?\r\n"
)
QUICK = Schedule((0.05,), max_age_seconds=3600.0)
NEVER_AGAIN = Schedule((3600.0,))

Condition = Callable[[], Awaitable[object]]


class TurnedClock:
    """Stands still between `turn`s: seconds since the epoch."""

    def __init__(self, now: float = 1_000_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Keys:
    """The same DKIM keys for every message, or none."""

    def __init__(self, keys: SigningKeys | None) -> None:
        self._keys = keys

    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        """See `KeySource.find`."""
        return self._keys


class NoPolicies:
    """No domain has an MTA-STS policy."""

    async def find(self, domain: str) -> Lookup:
        """See `Policies.find`."""
        return Lookup()


class ObservedQueue:
    """A queue that tells when a runner has tried to store results, and wakes the runner at the test's request."""

    def __init__(self, queue: QueueStore, settled: asyncio.Event) -> None:
        self._queue = queue
        self._settled = settled
        self._woken = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def wake(self) -> None:
        """Let the runner look at the clock."""
        self._woken.set()

    async def settle(
        self, results: Sequence[AttemptResult], deliveries: Sequence[Delivery] = (), events: Sequence[Event] = ()
    ) -> Sequence[Lease]:
        """See `QueueStore.settle`."""
        try:
            return await self._queue.settle(results, deliveries, events)
        finally:
            self._settled.set()

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        """See `QueueStore.changes`."""
        async with self._queue.changes() as changes:
            forwarding = asyncio.create_task(self._forward(changes))
            try:
                yield self._wakings()
            finally:
                forwarding.cancel()

    async def _forward(self, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            self._woken.set()

    async def _wakings(self) -> AsyncIterator[None]:
        while True:
            await self._woken.wait()
            self._woken.clear()
            yield


class System:
    """The system. `options` are fields of the connector's `Options`; `policies` are made with the runners' DNS."""

    def __init__(
        self,
        url: str,
        internet: Internet,
        *,
        runners: int = 1,
        schedule: Schedule = QUICK,
        clock: Callable[[], float] = time.time,
        max_connections: int = MAX_CONNECTIONS,
        dead_seconds: float = DEAD_SECONDS,
        keys: SigningKeys | None = None,
        telemetry: Telemetry | None = None,
        contexts: Contexts | None = None,
        policies: Callable[[Dns], Policies] = lambda _: NoPolicies(),
        **options: Any,
    ) -> None:
        self._url = url
        self._internet = internet
        self._runners = runners
        self._schedule = schedule
        self._clock = clock
        self._max_connections = max_connections
        self._dead_seconds = dead_seconds
        self._keys = Keys(keys)
        self._attempts = (telemetry or no_telemetry()).attempts()
        self._contexts = contexts or Contexts()
        self._policies = policies
        self._options = options
        self._settled = asyncio.Event()
        self._queues: list[ObservedQueue] = []
        self._stores: list[SqlMailStore] = []
        self._destinations: list[Destinations] = []
        self._supervisor = Supervisor()

    @asynccontextmanager
    async def running(self, runners: int | None = None) -> AsyncIterator["System"]:
        """Open stores and run runners inside the block; with none, mail is only queued."""
        count = self._runners if runners is None else runners
        supervisor, stopping = self._supervisor, asyncio.Event()
        async with AsyncExitStack() as stack:
            for _ in range(1 if self._url.startswith("sqlite") else max(1, count)):
                self._stores.append(await stack.enter_async_context(self._open_store()))
            await self.store.provision(ANN)
            stores = islice(cycle(self._stores), count)
            self._queues = [ObservedQueue(store.queue, self._settled) for store in stores]
            made = [self._runner(queue, number, supervisor, stack) for number, queue in enumerate(self._queues)]
            tasks = [supervisor.keep("relay.runner", partial(each.run, stopping), stopping) for each in made]
            try:
                yield self
            finally:
                stopping.set()
                await asyncio.gather(*tasks)
                self._stores.clear()
                self._destinations.clear()

    @property
    def store(self) -> SqlMailStore:
        """The store of the process that takes mail from users."""
        return self._stores[0]

    async def submit(
        self, *addresses: str, raw: bytes = RAW, notify: str = "", orcpt: str = "", **envelope: Any
    ) -> None:
        """Queue a message; returns when it is durable. `envelope` are fields of `Outgoing`."""
        to = [OutgoingRecipient(each, to_ascii(each.rpartition("@")[2]) or "", notify, orcpt) for each in addresses]
        fields: dict[str, Any] = {"sender": SENDER, "recipients": tuple(to), "account_id": ANN}
        outgoing = Outgoing(**fields | envelope)
        await self.store.deliver(Delivery(raw, (), outgoing=outgoing))

    async def until(self, condition: Condition) -> None:
        """Wait until a condition holds, which only a stored result makes true."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                self._settled.clear()
                if await condition():
                    return
                await self._settled.wait()

    @property
    def failures(self) -> int:
        """The number of exceptions in runners, after which they were started again."""
        return self._supervisor.failures["relay.runner"] + self._supervisor.failures["relay.connection"]

    async def tried(self) -> None:
        """Wait until a runner has tried to store results, from now on."""
        self._settled.clear()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self._settled.wait()

    async def assembled(self) -> None:
        """Wait until every runner knows of the others, which a beat tells it."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while any(each.runners != len(self._destinations) for each in self._destinations):
                await asyncio.sleep(0.05)

    def wake(self) -> None:
        """Let the runners look at the clock, which the test has turned."""
        for queue in self._queues:
            queue.wake()

    async def rows(self) -> dict[str, QueuedRecipient]:
        """The queue, by recipient."""
        return {row.address: row for row in (await self.store.queue.find(QueueFilter(), 100_000)).items}

    async def states(self) -> dict[str, str]:
        """The state of each recipient in the queue."""
        return {address: row.state.value for address, row in (await self.rows()).items()}

    async def is_empty(self) -> bool:
        """Whether all mail has left the queue."""
        return not await self.rows()

    async def is_attempted(self) -> bool:
        """Whether every recipient in the queue has the result of an attempt."""
        return all(row.reply for row in (await self.rows()).values())

    async def reports(self) -> list[ParsedMessage]:
        """The messages in the sender's INBOX, in the order of their arrival."""
        snapshot = await self.store.snapshot(ANN)
        opened = await self.store.open_all(ANN, [entry.message_id for entry in snapshot.entries])
        return [message_from_bytes(await raw.read()) for raw in opened if raw is not None]

    @asynccontextmanager
    async def _open_store(self) -> AsyncIterator[SqlMailStore]:
        engine = open_engine(self._url)
        try:
            async with open_store(engine, clock=self._clock) as store:
                yield store
        finally:
            await engine.dispose()

    def _runner(self, queue: ObservedQueue, number: int, supervisor: Supervisor, stack: AsyncExitStack) -> Runner:
        resolver = Resolver(parse_resolver(self._internet.dns.server))
        stack.push_async_callback(resolver.close)
        dns = TracedDns(resolver, self._attempts)
        chosen: dict[str, Any] = {
            "mx_port": self._internet.port,
            "private": PrivateDestinations.ALLOW,
            "ourselves": Ourselves.known_as([SERVER_NAME]),
        }
        options = Options(SERVER_NAME, **chosen | self._options)
        connector = Connector(dns, self._policies(dns), options, self._contexts)
        destinations = Destinations(self._max_connections)
        self._destinations.append(destinations)
        rules = Rules(f"runner-{number}", SERVER_NAME, self._schedule, self._dead_seconds, self._clock, Random(number))
        traced = TracedAttempts(self._attempts)
        attempter = Attempter(queue, destinations, traced, self._keys, self.store.suppressions, rules, supervisor)
        return Runner(queue, attempter, lambda domain: Sender(connector, domain), destinations, rules, supervisor)


def report_fields(report: ParsedMessage) -> list[dict[str, str]]:
    """The groups of fields of a report's status part (RFC 3464 §2.1): those of the message, then of each recipient."""
    (status,) = [part for part in report.walk() if part.get_content_type().endswith("delivery-status")]
    groups: Any = status.get_payload()
    return [dict(group.items()) for group in groups]
