"""What was acknowledged survives the death of the process that stored it; and what a big message costs."""

import subprocess
import sys
from pathlib import Path

from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId

ACKNOWLEDGED = 60  # deliveries, before the process is killed
BIG_OCTETS = 30_000_000

DELIVER_FOREVER = """
import asyncio, sys
from relate_mailstore.sql.engine import open_engine
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

DELIVER_BIG = """
import asyncio, resource, sys
from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import Delivery, Destination
from tests.support.factories import big

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def main():
    engine = open_engine(sys.argv[1])
    async with open_store(engine) as store:
        account = int(sys.argv[2])
        await store.deliver(Delivery(big(3_000_000), (Destination(account),)))
        before = peak()
        raw = big(int(sys.argv[3]))
        made = peak()
        receipt = await store.deliver(Delivery(raw, (Destination(account),)))
        del raw
        print(peak() - made, made - before)
        opened = await store.open(account, receipt.message_id)
        octets = 0
        async for chunk in opened.chunks():
            octets += len(chunk)
        print(octets, peak() - made)
    await engine.dispose()

asyncio.run(main())
"""


async def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(
    database_url: str, alice: AccountId
) -> None:
    command = [sys.executable, "-c", DELIVER_FOREVER, database_url, str(alice)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [next(process.stdout) for _ in range(ACKNOWLEDGED)]
        process.kill()
        acknowledged += process.stdout
    engine = open_engine(database_url)
    async with open_store(engine) as store:
        entries = (await store.snapshot(alice)).entries
        assert {line.strip() for line in acknowledged if line.endswith("\n")} <= {str(e.message_id) for e in entries}
        assert [entry.uid for entry in entries] == list(range(1, len(entries) + 1))
        for entry in entries[-20:]:
            assert len(await (await store.open(alice, entry.message_id)).read()) == entry.size
    await engine.dispose()


async def test_a_big_message_costs_at_most_twice_its_size_beside_itself(database_url: str, alice: AccountId) -> None:
    command = [sys.executable, "-c", DELIVER_BIG, database_url, str(alice), str(BIG_OCTETS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[4]).stdout
    delivering, _, octets, reading = map(int, output.split())
    assert octets == BIG_OCTETS
    assert delivering < 2 * BIG_OCTETS
    assert reading < 2 * BIG_OCTETS
    print(delivering, reading)
