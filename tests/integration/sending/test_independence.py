"""A destination that does not work delays its own mail alone, and is not attempted for each of its messages."""

import asyncio
from collections.abc import Sequence
from statistics import quantiles

import pytest

from relate_relay.destinations import FIRST_CONNECTIONS, MAX_CONNECTIONS, SUSPENDING_FAILURES
from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import CLOSING, Answer, Then
from tests.support.relay.system import NEVER_AGAIN, System

OTHERS = tuple(f"other{number}.test" for number in range(20))
SILENT = "silent.test"
LONG_PAUSE_SECONDS = 3600.0


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


@pytest.mark.xfail(strict=True, reason="mail that was claimed before the suspension is attempted all the same")
async def test_a_dead_destination_is_suspended_and_probed_once_by_all_runners(home: Home, internet: Internet) -> None:
    dead = await internet.domain("dead.test", {"GREETING": CLOSING})
    other = await internet.domain("other.test")
    made = home.system(internet, schedule=NEVER_AGAIN, pauses_seconds=(1.0, LONG_PAUSE_SECONDS))
    async with made.running(runners=0) as system:
        for number in range(50):
            await system.submit(f"user{number}@dead.test")
    async with made.running() as system:

        async def is_suspended() -> bool:
            is_idle = "leased" not in (await system.states()).values()
            return is_idle and dead.connections >= SUSPENDING_FAILURES

        await system.until(is_suspended)
        suspended_at = dead.connections
        await system.submit("bob@other.test")
        await until_left(system, ["bob@other.test"])
        await asyncio.sleep(2.0)  # for the probe, and for others that must not come
        assert dead.connections - suspended_at <= 1
        assert dead.connections <= SUSPENDING_FAILURES + home.runners * FIRST_CONNECTIONS
        assert len(await system.rows()) == 50
    assert len(other.messages) == 1


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
