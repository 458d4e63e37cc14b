"""Acknowledged messages survive a killed process; and the memory that a large message takes."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from relate_mailstore.types import AccountId
from tests.unit.mailstore.sql.helpers import opened

ROOT = Path(__file__).parents[4]
ACKNOWLEDGED_MESSAGES = 60  # before the process is killed
LARGE_MESSAGE_OCTETS = 30_000_000

DELIVER_UNTIL_KILLED = """
import asyncio, sys
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import Delivery, Destination

async def deliver(store, account):
    while True:
        receipt = await store.deliver(Delivery(b"Subject: one\\r\\n\\r\\n" + bytes(3000), (Destination(account),)))
        print(receipt.message_id, flush=True)

async def main():
    async with open_store(open_engine(sys.argv[1])) as store:
        await asyncio.gather(*(deliver(store, int(sys.argv[2])) for _ in range(10)))

asyncio.run(main())
"""

DELIVER_LARGE = """
import asyncio, resource, sys
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import Delivery, Destination

LINE = b"Subject: a header, and then the same as a line\\r\\n\\r\\n"

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main():
    engine = open_engine(sys.argv[1])
    async with open_store(engine) as store:
        account = int(sys.argv[2])
        await store.deliver(Delivery(LINE * 60_000, (Destination(account),)))
        raw = LINE * (int(sys.argv[3]) // len(LINE))
        made = peak()
        receipt = await store.deliver(Delivery(raw, (Destination(account),)))
        expected = len(raw)
        print(peak() - made)
        opened = await store.open(account, receipt.message_id)
        octets = 0
        async for chunk in opened.chunks():
            octets += len(chunk)
        print(octets - expected, peak() - made)
    await engine.dispose()

asyncio.run(main())
"""


def acknowledged_before_kill(url: str, account_id: AccountId) -> Sequence[str]:
    """The messages that a process acknowledged before it was killed."""
    command = [sys.executable, "-c", DELIVER_UNTIL_KILLED, url, str(account_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [next(process.stdout) for _ in range(ACKNOWLEDGED_MESSAGES)]
        process.kill()
        lines += process.stdout
    return [line.strip() for line in lines if line.endswith("\n")]


async def test_acknowledged_messages_survive_a_killed_process(database_url: str, alice: AccountId) -> None:
    acknowledged = acknowledged_before_kill(database_url, alice)
    async with opened(database_url) as (_, store):
        entries = (await store.snapshot(alice)).entries
        assert set(acknowledged) <= {str(entry.message_id) for entry in entries}
        assert [entry.uid for entry in entries] == list(range(1, len(entries) + 1))
        for entry in entries[-20:]:
            assert len(await (await store.open(alice, entry.message_id)).read()) == entry.size


def test_a_large_message_takes_less_memory_than_its_size_again(database_url: str, alice: AccountId) -> None:
    command = [sys.executable, "-c", DELIVER_LARGE, database_url, str(alice), str(LARGE_MESSAGE_OCTETS)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    delivering, difference, reading = map(int, output.split())
    assert difference == 0
    assert delivering < LARGE_MESSAGE_OCTETS
    assert reading < LARGE_MESSAGE_OCTETS
