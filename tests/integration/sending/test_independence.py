"""A destination that does not work delays its own mail alone, and is not attempted for each of its messages."""

import asyncio
from collections.abc import Sequence
from statistics import quantiles

import pytest

from relate_relay.queue.destinations import FIRST_CONNECTIONS, MAX_CONNECTIONS, SUSPENDING_FAILURES
from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import CLOSING, OK, WITHOUT_CHUNKING, Answer, Then
from tests.support.relay.system import NEVER_AGAIN, System, TurnedClock

OTHERS = tuple(f"other{number}.test" for number in range(20))
SILENT = "silent.test"
SHARED_LIMIT = 3


def silence(until: asyncio.Event) -> Answer:
    return Answer(b"", Then.CLOSE, after=until)


async def submit_to_others(system: System, count: int) -> Sequence[str]:
    """Submit a message to each of so many users of OTHERS; returns their addresses."""
    addresses = [f"user{number}@{OTHERS[number % len(OTHERS)]}" for number in range(count)]
    for address in addresses:
        await system.submit(address)
    return addresses


async def until_left(system: System, addresses: Sequence[str]) -> None:
    async def have_left() -> bool:
        return not (await system.rows()).keys() & set(addresses)

    await system.until(have_left)


async def test_a_silent_destination_delays_no_other(home: Home, internet: Internet) -> None:
    ended = asyncio.Event()
    silent = await internet.domain(SILENT, {"EHLO": silence(ended)})
    others = [await internet.domain(name) for name in OTHERS]
    async with home.system(internet, schedule=NEVER_AGAIN).running() as system:
        for number in range(40):
            await system.submit(f"user{number}@{SILENT}")
        await silent.received("EHLO")
        addresses = await submit_to_others(system, 60)
        await until_left(system, addresses)
        waiting = await system.rows()
        assert len(waiting) == 40
        assert {row.reply for row in waiting.values()} == {""}  # none has a result yet
        ended.set()
    assert sum(len(sink.messages) for sink in others) == len(addresses)
    assert silent.most_open_connections <= MAX_CONNECTIONS


async def test_all_runners_together_keep_to_the_limit_of_connections(home: Home, internet: Internet) -> None:
    slow = Answer(b"250 2.1.5 ok\r\n", pause_seconds=0.005)
    sink = await internet.domain("slow.test", {"RCPT": slow})
    made = home.system(internet, max_connections=SHARED_LIMIT, dead_seconds=6.0)
    async with made.running() as system:
        await system.assembled()
        for number in range(40):
            await system.submit(f"user{number}@slow.test")
        await system.until(system.is_empty)
    assert len(sink.messages) == 40
    assert sink.most_open_connections <= SHARED_LIMIT


async def test_mail_that_came_while_all_connections_worked_follows_over_them(
    home: Home, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relate_relay.queue.connections.IDLE_SECONDS", 3600.0)
    accepting = asyncio.Event()
    held = Answer(b"250 2.6.0 accepted\r\n", after=accepting)
    script = {"CONTENT": [*[held] * FIRST_CONNECTIONS, OK]}
    sink = await internet.domain("there.test", script, capabilities=WITHOUT_CHUNKING)
    async with home.system(internet).running(runners=1) as system:
        for number in range(FIRST_CONNECTIONS):
            await system.submit(f"user{number}@there.test")
            await sink.received("DATA")
        for number in range(10):
            await system.submit(f"other{number}@there.test")
        accepting.set()
        await system.until(system.is_empty)
    assert len(sink.messages) == FIRST_CONNECTIONS + 10


async def test_a_dead_destination_is_suspended_and_probed_once_by_all_runners(home: Home, internet: Internet) -> None:
    clock = TurnedClock()
    dead = await internet.domain("dead.test", {"GREETING": CLOSING})
    made = home.system(internet, schedule=NEVER_AGAIN, clock=clock)
    async with made.running(runners=0) as system:
        for number in range(50):
            await system.submit(f"user{number}@dead.test")
    async with made.running() as system:

        async def is_put_off() -> bool:
            return all(row.due is not None and row.due > clock.now for row in (await system.rows()).values())

        await system.until(is_put_off)
        suspended_at = dead.connections
        assert suspended_at <= home.runners * (SUSPENDING_FAILURES + FIRST_CONNECTIONS)
        assert (await system.store.queue.statistics()).suspended == 1
        clock.now += 2 * 3600.0
        system.wake()
        await system.until(is_put_off)
        assert dead.connections - suspended_at == 1
        assert len(await system.rows()) == 50


async def measure(home: Home, internet: Internet, silent_recipients: int, others: int) -> float:
    """The 95th percentile of the time from the submission to the arrival, in seconds."""
    ended = asyncio.Event()
    silent = await internet.domain(SILENT, {"EHLO": silence(ended)})
    sinks = [await internet.domain(name) for name in OTHERS]
    async with home.system(internet, schedule=NEVER_AGAIN).running() as system:
        if silent_recipients:
            await system.submit(*(f"user{number}@{SILENT}" for number in range(silent_recipients)))
            await silent.received("EHLO")
        submitted: dict[str, float] = {}
        for number in range(others):
            address = f"user{number}@{OTHERS[number % len(OTHERS)]}"
            submitted[address] = asyncio.get_running_loop().time()
            await system.submit(address)
        await until_left(system, list(submitted))
        ended.set()
    arrivals = {to.address: sent.received_at for sink in sinks for sent in sink.messages for to in sent.recipients}
    return quantiles([arrivals[address] - submitted[address] for address in submitted], n=20)[-1]


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_delay_of_others_beside_a_silent_destination_is_printed(home: Home) -> None:
    results = []
    for silent_recipients in (0, 10_000):
        async with Internet() as internet:
            results.append(await measure(home, internet, silent_recipients, 1_000))
    alone, beside = results
    print(f"{home.url.partition(':')[0]}, {home.runners} runners: p95 alone {alone:.3f} s, beside {beside:.3f} s")
