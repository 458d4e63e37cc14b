"""The runner: from the queue to the other server, and what becomes of each recipient."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from random import Random
from typing import Any

import pytest

from relate_mailstore.envelope_ids import verify_envelope
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.memory.queue import MemoryQueue
from relate_mailstore.queue_types import (
    AttemptResult,
    Claimed,
    Lease,
    Outgoing,
    OutgoingRecipient,
    QueuedRecipient,
    QueueFilter,
    QueueState,
)
from relate_mailstore.suppression_types import Suppression, SuppressionSource, suppress_bounced
from relate_mailstore.types import AccountId, Delivery
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import MxRecord
from relate_relay.attempt.connector import Connector, Options
from relate_relay.attempt.requirement import Contexts
from relate_relay.attempt.sender import Content, Result, Sender
from relate_relay.client.envelope import Envelope
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.timeouts import Timeouts
from relate_relay.dkim.keys import SigningKeys
from relate_relay.queue.attempter import Attempter
from relate_relay.queue.destinations import SUSPENDING_FAILURES, Destinations
from relate_relay.queue.rules import Rules
from relate_relay.queue.runner import Runner
from relate_relay.queue.schedule import Schedule
from relate_relay.routing.mta_sts import Lookup
from relate_relay.traced import TracedAttempts
from relate_supervisor import Supervisor
from relate_telemetry.telemetry import Telemetry, no_telemetry
from tests.support.fake_dns import FakeDns
from tests.support.relay.sink import CLOSE, SILENT, Script, Sink, reply

TIMEOUT_SECONDS = 30.0
ALICE = AccountId(1)
RAW = b"From: alice@here.test\r\nMessage-ID: <1@here.test>\r\nSubject: x\r\n\r\ntext\r\n"
QUICK = Schedule((0.05,), max_age_seconds=60.0)


class NoKeys:
    async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
        return None


class NoPolicies:
    async def find(self, domain: str) -> Lookup:
        return Lookup()


def dns(*domains: str) -> FakeDns:
    return FakeDns(
        mx={name: [MxRecord(10, f"mx.{name}")] for name in domains},
        addresses={f"mx.{name}": ["127.0.0.1"] for name in domains},
    )


class Observed:
    """A queue that tells when results were stored."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue
        self._settled = asyncio.Event()
        self.before_settling: Callable[[], Awaitable[None]] | None = None
        self.failures = 0  # of the next calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        self._fail()
        return await self._queue.claim(runner, limit, per_destination, busy)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")

    async def settle(
        self,
        results: Sequence[AttemptResult],
        deliveries: Sequence[Delivery] = (),
        events: Sequence[Event] = (),
    ) -> Sequence[Lease]:
        act, self.before_settling = self.before_settling, None
        if act is not None:
            await act()
        self._fail()
        lost = await self._queue.settle(results, deliveries, events)
        self._settled.set()
        return lost

    async def until(self, condition: Callable[[], Awaitable[object]]) -> None:
        """Wait until a condition holds after a result was stored."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not await condition():
                self._settled.clear()
                await self._settled.wait()


class Mail(MemoryMailStore):
    """A store whose queue is observed."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.observed = Observed(self.queue)


async def eventually(mail: Mail, condition: Callable[[Mail], Awaitable[object]]) -> None:
    await mail.observed.until(lambda: condition(mail))


@pytest.fixture
async def mail() -> Mail:
    store = Mail()
    await store.provision(ALICE)
    return store


def make_runner(  # noqa: PLR0917 - what it composes
    mail: Mail,
    make_sender: Callable[[str], Sender],
    destinations: Destinations,
    attempts: TracedAttempts,
    rules: Rules,
    supervisor: Supervisor,
    keys: NoKeys | None = None,
) -> Runner:
    suppressions = mail.suppressions
    attempter = Attempter(mail.observed, destinations, attempts, keys or NoKeys(), suppressions, rules, supervisor)
    return Runner(mail.observed, attempter, make_sender, destinations, rules, supervisor)


@asynccontextmanager
async def running(
    mail: Mail,
    port: int,
    schedule: Schedule = QUICK,
    telemetry: Telemetry | None = None,
    *,
    rules: dict[str, Any] | None = None,
    keys: NoKeys | None = None,
    failures: int = 0,
    **options: Any,
) -> AsyncIterator[Runner]:
    """A runner for the domains a.test and b.test, of which `failures` are expected."""
    chosen: dict[str, Any] = {"mx_port": port, "private": PrivateDestinations.ALLOW} | options
    connector = Connector(dns("a.test", "b.test"), NoPolicies(), Options("here.test", **chosen), Contexts())
    supervisor, stopping = Supervisor(), asyncio.Event()
    attempts = TracedAttempts((telemetry or no_telemetry()).attempts())
    decided = Rules("one", "here.test", schedule, random=Random(0), **(rules or {}))
    runner = make_runner(
        mail, lambda domain: Sender(connector, domain), Destinations(), attempts, decided, supervisor, keys
    )
    task = asyncio.create_task(runner.run(stopping))
    try:
        yield runner
    finally:
        stopping.set()
        await task
        assert supervisor.failures.total() == failures


async def submit(mail: Mail, *addresses: str, **envelope: Any) -> None:
    to = tuple(OutgoingRecipient(address, address.rpartition("@")[2]) for address in addresses)
    await mail.deliver(Delivery(RAW, (), outgoing=Outgoing("alice@here.test", to, ALICE, **envelope)))


async def rows(mail: Mail) -> dict[str, QueuedRecipient]:
    return {row.address: row for row in (await mail.queue.find(QueueFilter(), 1000)).items}


async def is_empty(mail: Mail) -> bool:
    return not await rows(mail)


async def reports(mail: Mail) -> list[bytes]:
    snapshot = await mail.snapshot(ALICE)
    opened = await mail.open_all(ALICE, [entry.message_id for entry in snapshot.entries])
    return [await raw.read() for raw in opened if raw is not None]


async def test_a_message_leaves_and_the_queue_is_empty(mail: Mail) -> None:
    async with Sink() as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test", "eve@a.test", "joe@b.test")
        await eventually(mail, is_empty)
        assert sorted(sorted(to.address for to in each.recipients) for each in sink.messages) == [
            ["bob@a.test", "eve@a.test"],  # recipients of one destination share a transaction
            ["joe@b.test"],
        ]
        assert {each.content for each in sink.messages} == {RAW}
        assert await reports(mail) == []


async def test_messages_that_come_one_after_another_share_a_connection(mail: Mail) -> None:
    async with Sink() as sink, running(mail, sink.port):
        for _ in range(3):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
        assert (len(sink.messages), sink.connections) == (3, 1)


async def test_a_connection_that_waits_does_not_delay_the_end(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relate_relay.queue.connections.IDLE_SECONDS", 3600.0)
    async with Sink() as sink:
        async with asyncio.timeout(TIMEOUT_SECONDS), running(mail, sink.port):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_what_was_queued_before_the_start_is_sent(mail: Mail) -> None:
    await submit(mail, "bob@a.test")
    async with Sink() as sink, running(mail, sink.port):
        await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_each_recipient_has_a_result_of_its_own(mail: Mail) -> None:
    script = {"RCPT": [reply("250 ok"), reply("450 4.2.1 later"), reply("550 5.1.1 unknown"), reply("450 4.2.1 later")]}
    async with Sink(script) as sink, running(mail, sink.port, Schedule((3600.0,))):
        await submit(mail, "bob@a.test", "eve@a.test", "joe@a.test")
        await eventually(mail, reports)
    states = {address: row.state for address, row in (await rows(mail)).items()}
    assert states == {
        "bob@a.test": QueueState.DELIVERED,
        "eve@a.test": QueueState.QUEUED,
        "joe@a.test": QueueState.FAILED,
    }
    assert (await rows(mail))["eve@a.test"].reply == "450 4.2.1 later"
    (report,) = await reports(mail)
    parsed = message_from_bytes(report)
    assert parsed["In-Reply-To"] == "<1@here.test>"
    assert b"Final-Recipient: rfc822; joe@a.test" in report
    assert b"eve@a.test" not in report


async def test_a_deferred_message_is_tried_again(mail: Mail) -> None:
    async with Sink({"MAIL": [reply("451 4.3.0 busy"), reply("451 4.3.0 busy"), reply("250 ok")]}) as sink:
        async with running(mail, sink.port):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_a_message_that_is_too_old_is_given_up_with_a_report(mail: Mail) -> None:
    async with Sink({"MAIL": reply("451 4.3.0 busy")}) as sink, running(mail, sink.port, Schedule((0.05,), 0.2)):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
    (report,) = await reports(mail)
    assert b"Status: 5.4.7" in report
    assert b"Action: failed" in report


async def test_the_sender_is_told_once_of_a_delay(mail: Mail) -> None:
    schedule = Schedule((0.05,), 60.0, notice_seconds=0.0)
    async with (
        Sink({"MAIL": [*[reply("451 4.3.0 busy")] * 4, reply("250 ok")]}) as sink,
        running(mail, sink.port, schedule),
    ):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
    (report,) = await reports(mail)
    assert b"Action: delayed" in report


async def test_without_dsn_the_sender_who_asked_learns_that_the_message_was_handed_over(mail: Mail) -> None:
    async with Sink(capabilities=("PIPELINING",)) as sink, running(mail, sink.port):
        to = OutgoingRecipient("bob@a.test", "a.test", notify="SUCCESS")
        await mail.deliver(Delivery(RAW, (), outgoing=Outgoing("alice@here.test", (to,), ALICE)))
        await eventually(mail, is_empty)
    (report,) = await reports(mail)
    assert b"Action: relayed" in report


async def test_a_bounce_has_no_report(mail: Mail) -> None:
    async with Sink({"RCPT": reply("550 5.1.1 unknown")}) as sink, running(mail, sink.port):
        to = OutgoingRecipient("bob@a.test", "a.test")
        await mail.deliver(Delivery(RAW, (), outgoing=Outgoing("", (to,), ALICE)))
        await eventually(mail, is_empty)
    assert await reports(mail) == []


async def test_a_dead_destination_is_suspended_and_another_is_not(mail: Mail) -> None:
    async with Sink() as alive:
        known = dns("a.test", "b.test")
        known.host_addresses["mx.b.test"] = ["127.0.0.9"]  # refuses connections
        options = Options("here.test", mx_port=alive.port, private=PrivateDestinations.ALLOW)
        connector = Connector(known, NoPolicies(), options, Contexts())
        destinations = Destinations()
        attempted: list[str] = []

        class Counted(Sender):
            async def send(
                self, envelope: Envelope, content: Content, observer: Observer = NO_OBSERVER
            ) -> list[Result]:
                attempted.extend(to.address for to in envelope.recipients)
                return await super().send(envelope, content, observer)

        def make_sender(domain: str) -> Sender:
            return Counted(connector, domain)

        async def is_suspended() -> bool:
            return (await mail.queue.statistics()).suspended == 1

        async def is_delivered() -> bool:
            return bool(alive.messages)

        rules = Rules("one", "here.test", Schedule((0.01,)))
        attempts = TracedAttempts(no_telemetry().attempts())
        runner = make_runner(mail, make_sender, destinations, attempts, rules, Supervisor())
        stopping = asyncio.Event()
        task = asyncio.create_task(runner.run(stopping))
        for number in range(20):
            await submit(mail, f"u{number}@b.test")
        await mail.observed.until(is_suspended)
        before = len(attempted)
        await submit(mail, "bob@a.test")
        await mail.observed.until(is_delivered)
        assert len(attempted) <= before + SUSPENDING_FAILURES  # those whose connection was being opened, and bob
        stopping.set()
        await task


async def test_a_runner_that_was_taken_for_dead_tells_no_result(mail: Mail) -> None:
    async def take_over() -> None:
        await mail.queue.end_leases(["one"])

    async with Sink({"RCPT": reply("550 5.1.1 unknown")}) as sink, running(mail, sink.port):
        mail.observed.before_settling = take_over
        await submit(mail, "bob@a.test", "eve@a.test")
        await eventually(mail, is_empty)
    assert len(await reports(mail)) == 1  # of the attempt that followed


async def test_a_runner_takes_over_what_a_dead_one_was_sending(mail: Mail) -> None:
    await submit(mail, "bob@a.test")
    await mail.queue.claim("dead", 10, 10, {})
    async with Sink() as sink, running(mail, sink.port, rules={"dead_seconds": 0.05}):
        await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_what_a_runner_did_not_attempt_is_due_when_it_ends(mail: Mail) -> None:
    async with Sink({"RCPT": SILENT}) as sink, running(mail, sink.port, timeouts=Timeouts(rcpt_seconds=0.2)):
        for number in range(5):
            await submit(mail, f"u{number}@a.test")
        await sink.received("RCPT")
    assert {row.state for row in (await rows(mail)).values()} == {QueueState.QUEUED}
    assert await mail.queue.beat("two") == {"two": 1}


async def test_a_runner_survives_while_the_store_is_away(mail: Mail) -> None:
    async with Sink() as sink, running(mail, sink.port):
        mail.observed.failures = 2
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_an_attempt_that_fails_in_our_own_code_is_tried_again(mail: Mail) -> None:
    class Failing(NoKeys):
        calls = 0

        async def find(self, raw: bytes, sender: str) -> SigningKeys | None:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("a fault of ours")
            return None

    async with Sink() as sink, running(mail, sink.port, keys=Failing(), failures=1):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        assert len(sink.messages) == 1


async def test_each_attempt_is_in_the_event_log(mail: Mail) -> None:
    async with Sink({"RCPT": [reply("451 4.3.0 busy"), reply("250 ok"), reply("550 5.1.1 unknown")]}) as sink:
        async with running(mail, sink.port):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
            await submit(mail, "eve@a.test")
            await eventually(mail, is_empty)
    told = await mail.events.find(EventQuery())
    assert [(each.name, each.recipient, each.reply) for each in told] == [
        ("attempted", "bob@a.test", ""),
        ("deferred", "bob@a.test", "451 4.3.0 busy"),
        ("attempted", "bob@a.test", ""),
        ("relayed", "bob@a.test", "250 2.6.0 accepted"),
        ("attempted", "eve@a.test", ""),
        ("bounced", "eve@a.test", "550 5.1.1 unknown"),
        ("received", "alice@here.test", ""),  # the report
        ("delivered", "alice@here.test", ""),
    ]
    assert told[0].detail["server"] == "mx.a.test"


async def test_a_running_attempt_ends_before_the_runner(mail: Mail) -> None:
    async with Sink({"CONTENT": [reply("250 ok")]}, capabilities=()) as sink:
        async with running(mail, sink.port):
            await submit(mail, "bob@a.test")
            await sink.received("DATA")
        assert await is_empty(mail)


async def test_a_lost_reply_to_the_content_is_tried_again_later(mail: Mail) -> None:
    async with Sink({"BDAT": [CLOSE, reply("250 ok")]}) as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        assert sink.connections == 2


async def test_a_silent_server_delays_no_other_destination(mail: Mail) -> None:
    def answer(arguments: str) -> Any:
        return SILENT if "b.test" in arguments else None

    async def has_left() -> bool:
        return "joe@a.test" not in await rows(mail)

    async with Sink({"RCPT": answer}) as sink, running(mail, sink.port, timeouts=Timeouts(rcpt_seconds=6.0)):
        await submit(mail, "bob@b.test")
        await sink.received("RCPT")
        await submit(mail, "joe@a.test")
        await mail.observed.until(has_left)
        assert (await rows(mail))["bob@b.test"].state is QueueState.LEASED  # still waiting for the reply


UNKNOWN = {"RCPT": lambda arguments: reply("550 5.1.1 No such user") if "bob@" in arguments else None}
PREVIOUS = Suppression(
    "bob@a.test", SuppressionSource.REPLY, added=0.0, status="5.1.10", text="550 5.1.10 Recipient not found"
)


async def test_an_address_that_the_server_refuses_is_sent_nothing_more(mail: Mail) -> None:
    async with Sink(UNKNOWN) as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        (entry,) = await mail.suppressions.page(10)
        assert entry == suppress_bounced("bob@a.test", SuppressionSource.REPLY, "5.1.1", entry.text, entry.added)
        assert entry.text == "550 5.1.1 No such user"
        asked = sink.commands.count("RCPT")
        await submit(mail, "BOB@A.test")
        await eventually(mail, is_empty)
        assert sink.commands.count("RCPT") == asked
    _, report = await reports(mail)
    parsed = message_from_bytes(report)
    assert "Not delivered to BOB@A.test" in parsed["Subject"]
    told = " ".join(str(parsed.get_payload(0)).split())
    assert "We did not send the message, because this mail system has listed the address" in told
    assert (
        f"on the suppression list since {datetime.now(UTC).date()}, because its mail server replied: 550 5.1.1" in told
    )
    assert "relate suppress remove ADDRESS" in told
    assert b"Status: 5.1.1\r\n" in report
    assert b"Diagnostic-Code: X-Relate; on the suppression list since" in report


async def test_the_other_recipients_of_a_message_are_sent_to(mail: Mail) -> None:
    await mail.suppressions.add(PREVIOUS)
    async with Sink() as sink, running(mail, sink.port):
        await submit(mail, "eve@a.test", "bob@a.test", "joe@a.test")
        await eventually(mail, is_empty)
        assert [to.address for each in sink.messages for to in each.recipients] == ["eve@a.test", "joe@a.test"]
    (report,) = await reports(mail)
    assert b"Final-Recipient: rfc822; bob@a.test" in report
    assert b"Status: 5.1.10" in report
    assert b"eve@a.test" not in report


async def test_what_an_operator_lists_is_not_sent_though_it_waits_in_the_queue(mail: Mail) -> None:
    async with Sink({"MAIL": reply("451 4.3.0 busy")}) as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test")
        await sink.received("MAIL")
        await mail.suppressions.add(Suppression("bob@a.test", SuppressionSource.OPERATOR, 0.0, text="asked us to stop"))
        await eventually(mail, is_empty)
        assert sink.messages == []
    (report,) = await reports(mail)
    assert b"Status: 5.1.0" in report
    assert b"by an administrator: asked us to stop" in report.replace(b"\r\n", b" ").replace(b"  ", b" ")


async def test_a_suppressed_recipient_says_nothing_of_the_destination(mail: Mail) -> None:
    await mail.suppressions.add(PREVIOUS)
    async with Sink() as sink, running(mail, sink.port) as runner:
        for _ in range(SUSPENDING_FAILURES - 1):
            assert not runner._destinations.failed("a.test")
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        assert runner._destinations.failed("a.test")  # none of its servers was reached in between


@pytest.mark.parametrize(
    "script",
    [
        {"RCPT": reply("550 5.7.1 not welcome")},
        {"RCPT": reply("550 no such user")},
        {"RCPT": reply("552 5.2.2 full")},
        {"MAIL": reply("550 5.1.1 whoever you are")},
        {"BDAT": reply("550 5.1.1 no such user")},
    ],
)
async def test_only_a_refusal_of_the_address_itself_lists_it(mail: Mail, script: Script) -> None:
    async with Sink(script) as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
    assert await mail.suppressions.page(10) == []


async def test_the_envelope_is_signed_where_the_user_gave_no_identifier(mail: Mail) -> None:
    async with Sink() as sink, running(mail, sink.port) as runner:
        await submit(mail, "bob@a.test")
        await submit(mail, "eve@a.test", envid="QQ314159")
        await eventually(mail, is_empty)
        given = {each.recipients[0].address: each.parameters["ENVID"] for each in sink.messages}
    assert given["eve@a.test"] == "QQ314159"
    secret = runner._rules.envelope_secret
    assert verify_envelope(secret, given["bob@a.test"], ALICE, "a.test") is not None
    assert verify_envelope(secret, given["bob@a.test"], ALICE, "b.test") is None


async def test_without_dsn_the_envelope_has_no_identifier(mail: Mail) -> None:
    async with Sink(capabilities=("PIPELINING",)) as sink, running(mail, sink.port):
        await submit(mail, "bob@a.test")
        await eventually(mail, is_empty)
        assert [each.parameters for each in sink.messages] == [{}]
