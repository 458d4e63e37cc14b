"""The connections of a process: when they ask for more mail, and when they close."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from relate_mailstore.queue_types import Claimed, RecipientId
from relate_mailstore.types import AccountId, MessageId
from relate_relay.attempt.connector import Connector, Options
from relate_relay.attempt.sender import Sender
from relate_relay.queue.connections import DESTINATION_RECIPIENTS, Connections, Group
from relate_relay.queue.destinations import FIRST_CONNECTIONS, Destinations
from relate_relay.routing.mta_sts import Lookup
from relate_supervisor import Supervisor
from tests.support.fake_dns import FakeDns

DOMAIN = "there.test"


class NoPolicies:
    async def find(self, domain: str) -> Lookup:
        return Lookup()


def make_sender(domain: str) -> Sender:
    """A sender whose connection is never opened."""
    return Sender(Connector(FakeDns(), NoPolicies(), Options("here.test")), domain)


def group(number: int) -> Group:
    return [
        Claimed(
            RecipientId(number),
            MessageId(uuid4()),
            AccountId(1),
            "alice@here.test",
            f"user{number}@{DOMAIN}",
            DOMAIN,
            notify="",
            orcpt="",
            ret="",
            envid="",
            size=1,
            is_8bit=False,
            is_utf8=False,
            header_message_id="",
            origin=None,
            arrived=0.0,
            attempts=1,
            reply="",
            status="",
            trace="",
            delay_told=False,
        )
    ]


async def test_a_connection_without_mail_asks_for_what_came_while_all_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relate_relay.queue.connections.IDLE_SECONDS", 3600.0)
    accepting, woken = asyncio.Event(), asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def attempt(sender: Sender, domain: str, attempted: Group, note_sent: Callable[[], None]) -> None:
        begun.release()
        await accepting.wait()

    connections = Connections(Destinations(), make_sender, attempt, woken.set, Supervisor())
    connections.add(DOMAIN, [group(number) for number in range(FIRST_CONNECTIONS)])
    for _ in range(FIRST_CONNECTIONS):
        await begun.acquire()
    assert connections.busy() == {DOMAIN: DESTINATION_RECIPIENTS}  # so that the runner claims nothing for it
    assert not woken.is_set()

    accepting.set()
    async with asyncio.timeout(5):
        await woken.wait()
    assert not connections.busy()
    await connections.end(0.0)


async def test_mail_for_a_connection_that_waits_is_attempted_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relate_relay.queue.connections.IDLE_SECONDS", 3600.0)
    attempts: asyncio.Queue[Sender] = asyncio.Queue()

    async def attempt(sender: Sender, domain: str, attempted: Group, note_sent: Callable[[], None]) -> None:
        attempts.put_nowait(sender)

    waiting = asyncio.Event()
    connections = Connections(Destinations(), make_sender, attempt, waiting.set, Supervisor())
    connections.add(DOMAIN, [group(1)])
    async with asyncio.timeout(5):
        first = await attempts.get()
        await waiting.wait()
        connections.add(DOMAIN, [group(2)])
        assert await attempts.get() is first
    await connections.end(0.0)


async def test_the_next_group_is_sent_while_a_result_is_stored_and_no_further_one() -> None:
    begun: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
    stored = [asyncio.Event() for _ in range(3)]

    async def attempt(sender: Sender, domain: str, attempted: Group, note_sent: Callable[[], None]) -> None:
        number = attempted[0].lease.recipient_id
        begun.put_nowait((number, stored[0].is_set()))
        note_sent()
        await stored[number].wait()

    destinations = Destinations(max_connections=1)
    connections = Connections(destinations, make_sender, attempt, asyncio.Event().set, Supervisor())
    connections.add(DOMAIN, [group(number) for number in range(3)])
    async with asyncio.timeout(5):
        assert [await begun.get(), await begun.get()] == [(0, False), (1, False)]
        assert connections.busy() == {DOMAIN: 3}
        stored[0].set()
        assert await begun.get() == (2, True)
    for event in stored:
        event.set()
    await connections.end(5.0)
    assert not connections.busy()


class ObservedSender(Sender):
    """A sender that notes how many attempts run when it is closed."""

    def __init__(self, running: set[int]) -> None:
        super().__init__(Connector(FakeDns(), NoPolicies(), Options("here.test")), DOMAIN)
        self.running = running
        self.when_closed: set[int] | None = None

    async def close(self) -> None:
        self.when_closed = {*self.running}
        await super().close()


async def test_a_connection_is_closed_after_its_cancelled_attempt() -> None:
    running: set[int] = set()
    begun, sender = asyncio.Event(), ObservedSender(running)

    async def attempt(_: Sender, domain: str, attempted: Group, note_sent: Callable[[], None]) -> None:
        running.add(1)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _turn in range(10):  # of the event loop, in which the connection could close
                await asyncio.sleep(0)
            running.discard(1)

    connections = Connections(Destinations(), lambda domain: sender, attempt, asyncio.Event().set, Supervisor())
    connections.add(DOMAIN, [group(1)])
    async with asyncio.timeout(5):
        await begun.wait()
        await connections.end(0.0)
    assert sender.when_closed == set()
