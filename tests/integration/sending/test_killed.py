"""250 means queued on disk: whatever process is killed, mail is sent, and twice only where that cannot be avoided.

A copy that follows another is explained only if the first one was one of the last two messages of a connection that the
relay did not end: it was killed between the other server's acceptance and its own commit (RFC 1047).
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.integration.product.accounts import Account, message
from tests.integration.sending.conftest import Home
from tests.integration.sending.processes import Processes, copies, is_explained, until_none
from tests.support.product import Product
from tests.support.relay.internet import Internet
from tests.support.relay.system import SERVER_NAME

pytestmark = pytest.mark.xdist_group("sending-killed")

DOMAINS = tuple(f"there{number}.test" for number in range(5))
FEW_ROUNDS = 3  # each starts a process, which takes two seconds of CPU time
MESSAGES_PER_ROUND = 4
MAX_DELAY_SECONDS = 0.1  # from the last 250 to the kill: an attempt takes some hundredths
SETTINGS = {
    "OTEL_SDK_DISABLED": "true",
    "Pop3__Enabled": "false",
    "Imap__Enabled": "false",
    "Relay__Retry": "0.2",
    "Relay__HeloName": SERVER_NAME,
    "Relay__TakeoverSeconds": "5",
    "Limits__RecipientsPerHour": "0",  # without it the mail of long runs is held
}


async def submit(product: Product, sender: Account, addresses: Sequence[str]) -> None:
    """Submit a message to each address; returns after the last 250."""

    def send() -> None:
        with product.submission(*sender) as client:
            for address in addresses:
                assert client.send_message(message(sender.address, address)) == {}

    await asyncio.to_thread(send)


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(FEW_ROUNDS, marks=pytest.mark.timeout(300)),
        pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
async def test_no_accepted_message_is_lost_when_processes_are_killed(
    tmp_path: Path, home: Home, internet: Internet, rounds: int
) -> None:
    random, numbers = Random(rounds), count()
    sinks = [await internet.domain(domain) for domain in DOMAINS]
    accepted: list[str] = []
    with ExitStack() as stack:
        processes = Processes(home, tmp_path, internet.settings | SETTINGS, stack)
        sender = await asyncio.to_thread(Account.create, processes.submission, "ann")
        await asyncio.to_thread(processes.start)
        for _ in range(rounds):
            addresses = [f"user{next(numbers)}@{random.choice(DOMAINS)}" for _ in range(MESSAGES_PER_ROUND)]
            await submit(processes.submission, sender, addresses)
            accepted += addresses
            await asyncio.sleep(random.uniform(0, MAX_DELAY_SECONDS))
            await asyncio.to_thread(processes.kill_one, random)
        await asyncio.to_thread(processes.kill_all)
        await asyncio.to_thread(processes.start_one_runner)
        await until_none(home.url)
    arrived = copies(sinks)
    repeated = {address: each for address, each in arrived.items() if len(each) > 1}
    print(f"{len(accepted)} messages, {rounds} rounds: {len(repeated)} sent twice")
    assert arrived.keys() == set(accepted)
    assert all(is_explained(sent, sinks) for each in repeated.values() for sent in each[:-1]), repeated
