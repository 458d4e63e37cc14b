"""Each mail that was accepted or refused has exactly one true end, whatever process is killed meanwhile.

The event log is compared with what clients were told, with the mailboxes, and with what other servers have received.
What a kill may make untrue is what the documents say: a mail whose reply was lost is accepted once more; a message is
relayed once more (RFC 1047); the refusals and the first reads of the last moments are forgotten (docs/storage.md).
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from random import Random
from threading import Condition

import pytest

from relate_accounts.sql import SqlAccountStore
from relate_mailstore.queue_types import QueueFilter
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.integration.sending.conftest import Home
from tests.integration.sending.ends.clients import Accounts, Clients, create_filters
from tests.integration.sending.ends.mails import ACCEPTING, LATER, NEVER, REFUSING, Mail, random_mails
from tests.integration.sending.ends.verdict import Verdict, read_journeys, read_places
from tests.integration.sending.processes import Processes, until_none
from tests.support.relay.internet import Internet
from tests.support.relay.sink import Answer, Script, Sink, reply
from tests.support.relay.system import SERVER_NAME

pytestmark = pytest.mark.xdist_group("sending-end-states")

CLIENTS = 6
SHORT, LONG = 200, 10_000
KILLS = {SHORT: 2, LONG: 40}
LATER_REPLY, REFUSED = reply("450 4.2.1 later"), reply("550 5.1.1 no such user")
SETTINGS = {
    "OTEL_SDK_DISABLED": "true",
    "Pop3__Enabled": "false",
    "Relay__Retry": "0.2,1,5,5,5,3600",
    "Relay__HeloName": SERVER_NAME,
    "Relay__TakeoverSeconds": "5",
    "Api__RequestsPerMinute": "0",
    "Limits__RecipientsPerHour": "0",
    "Limits__RecipientsPerDay": "0",
    "Events__RefusedPerClientHour": "1000000",
}


class Progress:
    """Mails that wait to be sent, and how many were."""

    def __init__(self, mails: Sequence[Mail]) -> None:
        self._waiting: Queue[Mail] = Queue()
        for mail in mails:
            self._waiting.put(mail)
        self._left = len(mails)
        self._changed = Condition()

    def work(self, processes: Processes, accounts: Accounts) -> None:
        """Send mails until none waits."""
        clients = Clients(processes, accounts)
        try:
            while True:
                clients.run(self._waiting.get_nowait())
                with self._changed:
                    self._left -= 1
                    self._changed.notify_all()
        except Empty:
            clients.close()
        except BaseException:
            with self._changed:
                self._left = 0  # so that the test does not wait for it
                self._changed.notify_all()
            raise

    def wait_until_left(self, count: int) -> None:
        """Wait until so many mails or fewer are left."""
        with self._changed:
            self._changed.wait_for(lambda: self._left <= count)


class FirstLater:
    """Defers each recipient once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, arguments: str) -> Answer | None:
        address = arguments.partition(">")[0]
        if address in self._seen:
            return None
        self._seen.add(address)
        return LATER_REPLY


async def wait_for_queue(url: str) -> None:
    """Wait until the queue has done what it can."""
    await until_none(url, f"domain <> '{NEVER}' OR attempts = 0")


async def judge(
    url: str, mails: Sequence[Mail], accounts: Accounts, sinks: Sequence[Sink], processes: Processes
) -> Verdict:
    """Drop what waits in the queue, and read everything, while no process runs."""
    engine = open_engine(url)
    directory = SqlAccountStore(engine)
    users = {user.address: user for user in await directory.users()}
    async with open_store(engine) as store:
        await store.queue.drop(QueueFilter(domain=NEVER))
        assert not (await store.queue.find(QueueFilter(), 1)).items
        journeys = await read_journeys(store)
        places = await read_places(store, [AccountId(user.id) for user in users.values()])
    await engine.dispose()
    return Verdict(mails, accounts, users, journeys, places, sinks, processes)


@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_each_accepted_and_each_refused_mail_has_one_true_end(
    tmp_path: Path, any_home: Home, internet: Internet, count: int
) -> None:
    random = Random(count)
    mails = [*random_mails(random, count)]
    scripts: dict[str, Script] = {
        ACCEPTING: {},
        REFUSING: {"RCPT": REFUSED},
        LATER: {"RCPT": FirstLater()},
        NEVER: {"RCPT": LATER_REPLY},
    }
    sinks = [await internet.domain(domain, script) for domain, script in scripts.items()]
    progress = Progress(mails)
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        services = ("smtp", "api", "imap")
        processes = Processes(any_home, tmp_path, internet.settings | SETTINGS, stack, services)
        accounts = await asyncio.to_thread(Accounts.create, processes.submission)
        await asyncio.to_thread(processes.start)
        await asyncio.to_thread(create_filters, processes.of("api"), accounts.fay)
        working = [threads.submit(progress.work, processes, accounts) for _ in range(CLIENTS)]
        for kill in range(KILLS[count]):
            await asyncio.to_thread(progress.wait_until_left, count - (kill + 1) * count // (KILLS[count] + 1))
            await asyncio.to_thread(processes.kill_one, random)
        for each in working:
            await asyncio.wrap_future(each)
        await wait_for_queue(any_home.url)
        await asyncio.to_thread(processes.stop_all)
        verdict = await judge(any_home.url, mails, accounts, sinks, processes)
    faults = verdict.faults()
    print(f"{count} mails, {KILLS[count]} kills: {verdict.summary()}")
    assert not faults, f"{len(faults)} faults, such as {faults[:5]}"
