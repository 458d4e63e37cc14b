"""The metrics of a runner: what became of recipients, how long it took, and how TLS protected the messages."""

from collections import Counter
from typing import Any

import pytest

from relate_mailstore.queue_types import QueueState
from relate_relay.queue.schedule import Schedule
from relate_telemetry.telemetry import Telemetry
from tests.integration.relay.test_runner import Mail, eventually, is_empty, mail, reports, rows, running, submit
from tests.support.certificates import Authority
from tests.support.relay.sink import CLOSE, Sink, reply
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.telemetry.registry import undeclared

__all__ = ["mail"]

LATER = Schedule((3600.0,))


@pytest.fixture
def telemetry() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


def counted(seen: Recorder, name: str) -> dict[tuple[str, ...], float]:
    """The values of a counter that are not 0, by its labels."""
    return {tuple(map(str, each.attributes.values())): each.value for each in seen.metric(name) if each.value}


async def are_attempted(mail: Mail) -> bool:
    return all(row.attempts and row.state is not QueueState.LEASED for row in (await rows(mail)).values())


async def test_recipients_are_counted_by_what_became_of_them(mail: Mail, telemetry: tuple[Telemetry, Recorder]) -> None:
    replies = [reply("250 2.1.5 ok"), reply("450 4.2.1 later"), reply("550 5.1.1 unknown"), reply("550 no")]
    async with Sink({"RCPT": replies}) as sink, running(mail, sink.port, LATER, telemetry[0]):
        await submit(mail, "bob@a.test", "eve@a.test", "joe@a.test", "mia@a.test")
        await eventually(mail, reports)
    seen = telemetry[1]
    assert counted(seen, "relay.recipients.attempted") == {
        ("accepted", "2xx", "2.6"): 1,
        ("deferred", "4xx", "4.2"): 1,
        ("failed", "5xx", "5.1"): 1,
        ("failed", "5xx", "5.0"): 1,
    }
    assert counted(seen, "relay.messages.sent") == {("none",): 1}
    assert undeclared(seen) == []


async def test_durations_have_the_trace_of_the_attempt(mail: Mail, telemetry: tuple[Telemetry, Recorder]) -> None:
    async with Sink({"RCPT": [reply("250 ok"), reply("450 later")]}) as sink:
        async with running(mail, sink.port, LATER, telemetry[0]):
            await submit(mail, "bob@a.test", "eve@a.test")
            await eventually(mail, are_attempted)
    seen = telemetry[1]
    (attempt,) = seen.spans("relay.attempt")
    duration, latency = [each for each in seen.points() if each.count]
    assert (duration.name, latency.name) == ("relay.attempt.duration", "relay.delivery.latency")
    assert duration.attributes == {"relay.outcome": "mixed"}
    assert (duration.count, duration.exemplars) == (1, (attempt.trace_id,))
    assert (latency.count, latency.exemplars) == (1, (attempt.trace_id,))


async def test_latency_is_the_time_since_arrival_over_all_attempts(
    mail: Mail, telemetry: tuple[Telemetry, Recorder]
) -> None:
    async with Sink({"MAIL": [reply("451 4.3.0 busy"), reply("250 ok")]}) as sink:
        async with running(mail, sink.port, telemetry=telemetry[0]):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
    (latency,) = telemetry[1].metric("relay.delivery.latency")
    assert (latency.count, latency.value > 0.05) == (1, True)  # the pause of QUICK
    durations = {each.attributes["relay.outcome"]: each.count for each in telemetry[1].metric("relay.attempt.duration")}
    assert durations == {"accepted": 1, "temporary": 1, "permanent": 0, "mixed": 0}


async def test_an_expired_recipient_has_failed(mail: Mail, telemetry: tuple[Telemetry, Recorder]) -> None:
    async with Sink({"MAIL": reply("451 4.3.0 busy")}) as sink:
        async with running(mail, sink.port, Schedule((0.05,), max_age_seconds=0.0), telemetry[0]):
            await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
    assert counted(telemetry[1], "relay.recipients.attempted") == {("failed", "4xx", "5.4"): 1}


async def test_a_recipient_without_a_reply_is_counted_as_such(
    mail: Mail, telemetry: tuple[Telemetry, Recorder]
) -> None:
    async with Sink({"GREETING": CLOSE}) as sink, running(mail, sink.port, LATER, telemetry[0]):
        await submit(mail, "bob@a.test")
        await eventually(mail, are_attempted)
    assert counted(telemetry[1], "relay.recipients.attempted") == {("deferred", "none", "4.4"): 1}


async def test_messages_are_counted_by_the_security_of_their_connection(
    mail: Mail, telemetry: tuple[Telemetry, Recorder]
) -> None:
    async with Sink(certificate=Authority().serving("mx.a.test")) as sink:
        async with running(mail, sink.port, telemetry=telemetry[0]):
            for _ in range(2):  # the second message uses the connection of the first, which has no handshake of its own
                await submit(mail, "bob@a.test")
            await eventually(mail, is_empty)
    assert counted(telemetry[1], "relay.messages.sent") == {("unverified",): 2}


async def test_hostile_replies_make_no_series(mail: Mail, telemetry: tuple[Telemetry, Recorder]) -> None:
    numbers = iter(range(1000))

    def answer(_: str) -> Any:
        number = next(numbers)
        return reply(f"{400 + number % 200} {4 + number % 200 // 100}.{number}.{number} made up {number}")

    seen = telemetry[1]
    async with Sink({"RCPT": answer}) as sink, running(mail, sink.port, LATER, telemetry[0]):
        before = Counter(point.name for point in seen.points())
        await submit(mail, *(f"u{number}@a.test" for number in range(100)), *(f"u{n}@b.test" for n in range(100)))
        await eventually(mail, are_attempted)
    assert Counter(point.name for point in seen.points()) == before
    assert seen.total("relay.recipients.attempted") == 200
    assert "made up" not in "".join(str(point) for point in seen.points())
