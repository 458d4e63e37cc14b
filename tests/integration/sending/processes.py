"""The processes of a system that tests kill, and what a killed one may have sent twice."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from threading import Event
from typing import NamedTuple

from sqlalchemy import text

from relate_mailstore.sql.driver.engine import open_engine
from tests.integration.sending.conftest import Home
from tests.support.product import TIMEOUT_SECONDS, Product
from tests.support.relay.sink import Message, Sink

DRAIN_SECONDS = 2 * TIMEOUT_SECONDS  # a killed runner's leases end first, then all that waits is attempted
UNSTORED_MESSAGES = 2
"""Of a connection: that which was sent last, and the one before, whose result is stored meanwhile."""


class Kill(NamedTuple):
    """A process that was killed, and when, by the monotonic clock."""

    product: Product
    time: float


class Processes:
    """Services and runners: all in one process on SQLite, otherwise each in its own."""

    def __init__(
        self,
        home: Home,
        directory: Path,
        settings: dict[str, str],
        until: ExitStack,
        services: Sequence[str] = ("smtp",),
    ) -> None:
        is_embedded = home.url.startswith("sqlite")
        self.kills: list[Kill] = []
        self._services: dict[Product, str] = {}
        self._running: dict[Product, Event] = {}
        for number, service in enumerate(["all"] if is_embedded else [*services, *["relay"] * home.runners]):
            (folder := directory / str(number)).mkdir()
            product = until.enter_context(Product(folder, home.url, **settings))
            self._services[product], self._running[product] = service, Event()
        self.submission, *_ = self._services

    def of(self, service: str) -> Product:
        """The process of a service."""
        return next(product for product, name in self._services.items() if name in {service, "all"})

    def start(self, *products: Product) -> None:
        """Start processes, by default all."""
        for product in products or self._services:
            product.start(self._services[product])
            self._running[product].set()

    def wait_for(self, product: Product) -> None:
        """Wait, in a thread, until a process runs that may have been killed."""
        assert self._running[product].wait(TIMEOUT_SECONDS)

    def kill_one(self, random: Random) -> None:
        """Kill a process, and start it again."""
        self._kill(killed := random.choice(list(self._services)))
        self.start(killed)

    def kill_all(self) -> None:
        """Kill all processes."""
        for product in self._services:
            self._kill(product)

    def stop_all(self) -> None:
        """Stop all processes as an operator does, so that they store what waits in memory."""
        for product in self._services:
            product.stop()

    def start_one_runner(self) -> None:
        """Start the last process, which is a runner."""
        self.start(list(self._services)[-1])

    def _kill(self, product: Product) -> None:
        self._running[product].clear()
        self.kills.append(Kill(product, time.monotonic()))
        product.kill()


async def until_none(url: str, condition: str = "true") -> None:
    """Wait until no recipient in the queue meets a condition. It polls, because a test gets no notices of processes.

    Each look is a statement without a transaction, which on SQLite would take the write lock.
    """
    engine = open_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    waiting = text(f"SELECT count(*) FROM queue_recipients WHERE {condition}")
    async with asyncio.timeout(DRAIN_SECONDS), engine.connect() as connection:
        while (await connection.execute(waiting)).scalar_one():
            await asyncio.sleep(0.1)
    await engine.dispose()


def copies(sinks: Sequence[Sink]) -> dict[str, list[Message]]:
    """The messages that arrived for each recipient, in order."""
    found = defaultdict(list)
    for sink in sinks:
        for sent in sink.messages:
            for to in sent.recipients:
                found[to.address].append(sent)
    return found


def is_explained(sent: Message, sinks: Sequence[Sink]) -> bool:
    """Whether a relay that was killed may not have known that this message was accepted."""
    (sink,) = [sink for sink in sinks if sent in sink.messages]
    carried = [each for each in sink.messages if each.connection == sent.connection]
    return sent in carried[-UNSTORED_MESSAGES:] and sent.connection not in sink.ended
