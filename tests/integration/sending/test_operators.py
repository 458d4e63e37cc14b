"""`relate queue` while runners drain the queue: each command takes effect once, and no mail is lost or repeated."""

import asyncio
from collections import Counter

from relate_mailstore.queue_types import QueueFilter
from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import reply
from tests.support.relay.system import System

KEPT = tuple(f"kept{number}.test" for number in range(4))
DROPPED = tuple(f"dropped{number}.test" for number in range(2))
MESSAGES = 120
ROUNDS = 5


async def operate(system: System) -> None:
    """Hold, retry and release some domains again and again, and drop others."""
    queue = system.store.queue
    for _ in range(ROUNDS):
        for domain in KEPT:
            await queue.hold(QueueFilter(domain=domain))
            await queue.retry(QueueFilter(domain=domain))
            await queue.release(QueueFilter(domain=domain))
        for domain in DROPPED:
            await queue.drop(QueueFilter(domain=domain))


async def test_commands_and_runners_work_at_once(home: Home, internet: Internet) -> None:
    slow = [reply("450 4.2.1 later"), reply("250 ok"), reply("250 ok")]
    sinks = [await internet.domain(domain, {"RCPT": slow}) for domain in (*KEPT, *DROPPED)]
    domains = (*KEPT, *DROPPED)
    kept = [f"user{number}@{domains[number % 6]}" for number in range(MESSAGES) if number % 6 < len(KEPT)]
    async with home.system(internet).running() as system:

        async def submit() -> None:
            for number in range(MESSAGES):
                await system.submit(f"user{number}@{domains[number % 6]}")

        await asyncio.gather(submit(), operate(system), operate(system))
        for domain in DROPPED:
            await system.store.queue.drop(QueueFilter(domain=domain))
        await system.until(system.is_empty)
        assert await system.reports() == []  # the sender is not told of what an operator dropped
    arrived = Counter(to.address for sink in sinks for each in sink.messages for to in each.recipients)
    assert max(arrived.values()) == 1
    assert arrived.keys() >= set(kept)


async def test_a_command_that_is_repeated_changes_nothing(home: Home, internet: Internet) -> None:
    sink = await internet.domain("there.test")
    everything = QueueFilter(domain="there.test")
    async with home.system(internet).running(runners=0) as system:
        for number in range(3):
            await system.submit(f"user{number}@there.test", due=4e9)
        queue = system.store.queue
        assert [await queue.hold(everything) for _ in range(2)] == [3, 0]
        assert [await queue.retry(everything) for _ in range(2)] == [0, 0]  # held mail waits for its release
        assert [await queue.release(everything) for _ in range(2)] == [3, 0]
        assert [await queue.drop(everything) for _ in range(2)] == [3, 0]
        assert await system.is_empty()
    assert sink.connections == 0
