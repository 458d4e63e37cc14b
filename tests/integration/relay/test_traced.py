"""The trace of an attempt: a child for each step, with the other server's reply."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_relay.attempt.connector import Connector, Options
from relate_relay.attempt.requirement import Contexts
from relate_relay.attempt.sender import Fitted, Sender
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.timeouts import Timeouts
from relate_relay.routing.mta_sts import Lookup
from relate_relay.traced import TracedAttempts, TracedDns
from relate_telemetry.telemetry import Telemetry
from tests.support.certificates import Authority
from tests.support.fake_dns import FakeDns
from tests.support.relay.sink import SILENT, Sink, reply
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.telemetry.registry import undeclared

DOMAIN = "there.test"
ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEY = "rm_" + "x" * 20


class Text:
    async def fitted(self, envelope: Envelope, capabilities: Capabilities) -> Fitted:
        return Fitted(envelope, self._read())

    async def _read(self) -> AsyncIterator[bytes]:
        yield b"Subject: x\r\n\r\ntext\r\n"


class NoPolicies:
    async def find(self, domain: str) -> Lookup:
        return Lookup()


async def make_attempt(telemetry: Telemetry, port: int, dns: FakeDns | None = None, **options: Any) -> None:
    attempts = telemetry.attempts()
    known = dns or FakeDns(mx={DOMAIN: [MxRecord(10, "mx.there.test")]}, addresses={"mx.there.test": ["127.0.0.1"]})
    chosen = Options("here.test", mx_port=port, private=PrivateDestinations.ALLOW, **options)
    sender = Sender(Connector(TracedDns(known, attempts), NoPolicies(), chosen, Contexts()), DOMAIN)
    envelope = Envelope("ann@here.test", (Recipient("bob@there.test"), Recipient("eve@there.test")))
    with TracedAttempts(attempts).attempt(DOMAIN, 2, [ORIGIN, None]) as attempt:
        attempt.finish(await sender.send(envelope, Text(), attempt.observer))
    await sender.close()


@pytest.fixture
def telemetry() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


def children(seen: Recorder) -> list[ReceivedSpan]:
    """The steps of the only attempt, which is a trace of its own."""
    (root,) = seen.spans("relay.attempt")
    steps = [span for span in seen.spans() if span.name != "relay.attempt"]
    assert {span.parent_id for span in steps} == {root.span_id}
    assert {span.trace_id for span in seen.spans()} == {root.trace_id}
    assert not root.parent_id
    return steps


async def test_each_step_is_a_child_with_the_reply(telemetry: tuple[Telemetry, Recorder]) -> None:
    script = {"RCPT": [reply("250 2.1.5 ok"), reply(f"550 5.1.1 no {KEY}")]}
    async with Sink(script, certificate=Authority().serving("mx.there.test")) as sink:
        await make_attempt(telemetry[0], sink.port)
    seen = telemetry[1]
    assert [span.name.removeprefix("relay.") for span in children(seen)] == [
        *("dns", "dns", "connect", "command.greeting", "command.ehlo", "command.starttls", "tls", "command.ehlo"),
        *("command.mail", "command.rcpt", "command.rcpt", "command.bdat"),
    ]
    (root,) = seen.spans("relay.attempt")
    assert root.attributes == {
        "relay.destination": DOMAIN,
        "relay.recipients": 2,
        "relay.outcome": "mixed",
        "relay.status": "5.1.1",
        "relay.server": "mx.there.test",
    }
    assert [link.trace_id for link in root.links] == [ORIGIN[3:35]]
    refused = seen.spans("relay.command.rcpt")[1]
    assert (refused.attributes["relay.reply.code"], refused.attributes["relay.status"]) == ("550", "5.1.1")
    assert refused.attributes["relay.reply.text"] == "550 5.1.1 no rm_…"
    assert refused.status == "UNSET"  # what the other server refuses is no error of ours
    (handshake,) = seen.spans("relay.tls")
    assert handshake.attributes["relay.tls.verified"] is False
    assert handshake.attributes["tls.protocol.version"] == "1.3"
    assert undeclared(seen) == []


@pytest.mark.parametrize(
    ("fault", "outcome", "status"),
    [(DnsFault.NXDOMAIN, "permanent", "5.1.2"), (DnsFault.TIMEOUT, "temporary", "4.4.3")],
)
async def test_a_question_without_an_answer_says_why(
    telemetry: tuple[Telemetry, Recorder], fault: DnsFault, outcome: str, status: str
) -> None:
    await make_attempt(telemetry[0], 25, FakeDns(mx={DOMAIN: fault}))
    seen = telemetry[1]
    (question,) = children(seen)
    assert (question.status, question.attributes["relay.failure"]) == ("ERROR", fault.value)
    (root,) = seen.spans("relay.attempt")
    assert (root.attributes["relay.outcome"], root.attributes["relay.status"]) == (outcome, status)
    assert root.status == "UNSET"
    assert undeclared(seen) == []


async def test_a_silent_server_is_seen_at_the_step_that_waited(telemetry: tuple[Telemetry, Recorder]) -> None:
    async with Sink({"MAIL": SILENT}) as sink:
        await make_attempt(telemetry[0], sink.port, timeouts=Timeouts(mail_seconds=0.2))
    seen = telemetry[1]
    (waited,) = seen.spans("relay.command.mail")
    assert (waited.status, waited.attributes["relay.failure"]) == ("ERROR", "the server did not answer in time (MAIL)")
    assert undeclared(seen) == []
