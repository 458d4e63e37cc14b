"""An attempt: from the domain to the result of each recipient, with scripted servers on loopback addresses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_relay.attempt.connector import Connector, Login, Options
from relate_relay.attempt.requirement import Contexts
from relate_relay.attempt.sender import Fitted, Result, Sender
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.results import Outcome, Security
from relate_relay.client.timeouts import Timeouts
from relate_relay.routing.mta_sts import Lookup, Mode, Policy
from relate_relay.routing.smarthost import parse_smarthosts
from relate_relay.routing.tls_policy import TlsLevel, parse_tls_policies
from relate_wire.secret import Secret
from tests.support.certificates import Authority
from tests.support.fake_dns import FakeDns
from tests.support.relay.recording import RecordingObserver
from tests.support.relay.sink import BROKEN_TLS, CLOSE, CLOSING, SILENT, Sink, reply

DOMAIN = "there.test"
ADDRESSES = {"mx1.there.test": ["127.0.0.2"], "mx2.there.test": ["127.0.0.3"]}
MX = [MxRecord(10, "mx1.there.test"), MxRecord(20, "mx2.there.test")]
PATIENT = Timeouts()
IMPATIENT = Timeouts(greeting_seconds=2.0, rcpt_seconds=2.0, tls_seconds=2.0)  # only for what is silent


class Text:
    """A content that every server takes."""

    def __init__(self) -> None:
        self.reads = 0

    async def fitted(self, envelope: Envelope, capabilities: Capabilities) -> Fitted:
        return Fitted(envelope, self._read())

    async def _read(self) -> AsyncIterator[bytes]:
        self.reads += 1
        yield b"Subject: x\r\n\r\ntext\r\n"


class Policies:
    """The MTA-STS policy of every domain."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy

    async def find(self, domain: str) -> Lookup:
        return Lookup(self._policy)


def envelope(*locals_: str) -> Envelope:
    return Envelope("ann@here.test", tuple(Recipient(f"{local}@{DOMAIN}") for local in locals_ or ("bob",)))


def outcomes(results: list[Result]) -> list[tuple[Outcome, str]]:
    return [(each.outcome, each.status) for each in results]


Make = Callable[..., Sender]


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def sender(authority: Authority) -> AsyncIterator[Make]:
    """Makes senders to DOMAIN, whose servers listen on `port`."""
    async with AsyncExitStack() as stack:

        def make(port: int, policy: Policy | None = None, dns: FakeDns | None = None, **options: Any) -> Sender:
            chosen: dict[str, Any] = {"private": PrivateDestinations.ALLOW, "mx_port": port, "timeouts": PATIENT}
            made = Sender(
                Connector(
                    dns or FakeDns(mx={DOMAIN: MX}, addresses=ADDRESSES),
                    Policies(policy),
                    Options("here.test", **chosen | options),
                    Contexts(verifying=authority.trusting),
                ),
                DOMAIN,
            )
            stack.push_async_callback(made.close)
            return made

        yield make


def second_server(first: Sink, script: Any = None) -> Sink:
    """A sink at the address of mx2 with the port of the first."""
    sink = Sink(script, host="127.0.0.3")
    sink.port = first.port
    return sink


async def test_messages_of_a_destination_share_a_connection(sender: Make) -> None:
    async with Sink(host="127.0.0.2") as sink:
        sending = sender(sink.port)
        for _ in range(3):
            assert outcomes(await sending.send(envelope("bob", "eve"), Text())) == [(Outcome.ACCEPTED, "2.6.0")] * 2
        assert (sink.connections, len(sink.messages)) == (1, 3)


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(sender: Make) -> None:
    async with Sink({"MAIL": [reply("250 ok"), CLOSE, reply("250 ok")]}, host="127.0.0.2") as sink:
        sending = sender(sink.port)
        for _ in range(2):
            assert outcomes(await sending.send(envelope(), Text())) == [(Outcome.ACCEPTED, "2.6.0")]
        assert sink.connections == 2


@pytest.mark.parametrize("greeting", [CLOSE, CLOSING, SILENT, reply("554 5.3.2 no service"), reply("nonsense")])
async def test_the_next_server_is_tried_when_one_does_not_serve(sender: Make, greeting: Any) -> None:
    async with Sink({"GREETING": greeting}, host="127.0.0.2") as first, second_server(first) as second:
        (result,) = await sender(first.port, timeouts=IMPATIENT).send(envelope(), Text())
        assert (result.outcome, result.endpoint and result.endpoint.host) == (Outcome.ACCEPTED, "mx2.there.test")
        assert len(second.messages) == 1


async def test_a_dead_address_is_passed_over(sender: Make) -> None:
    async with Sink(host="127.0.0.3") as second:
        (result,) = await sender(second.port).send(envelope(), Text())
        assert result.outcome is Outcome.ACCEPTED


async def test_a_reply_is_the_result_and_no_other_server_is_asked(sender: Make) -> None:
    script = {"RCPT": [reply("250 ok"), reply("450 4.2.1 later"), reply("550 5.1.1 unknown")]}
    async with Sink(script, host="127.0.0.2") as first, second_server(first) as second:
        results = await sender(first.port).send(envelope("bob", "eve", "joe"), Text())
        assert outcomes(results) == [
            (Outcome.ACCEPTED, "2.6.0"),
            (Outcome.TEMPORARY, "4.2.1"),
            (Outcome.PERMANENT, "5.1.1"),
        ]
        assert second.connections == 0


async def test_only_recipients_without_a_reply_are_tried_with_the_next_server(sender: Make) -> None:
    script = {"RCPT": [reply("550 5.1.1 unknown"), CLOSE]}
    async with Sink(script, host="127.0.0.2") as first, second_server(first) as second:
        results = await sender(first.port).send(envelope("bob", "eve"), Text())
        assert outcomes(results) == [(Outcome.PERMANENT, "5.1.1"), (Outcome.ACCEPTED, "2.6.0")]
        (message,) = second.messages
        assert [each.address for each in message.recipients] == [f"eve@{DOMAIN}"]


@pytest.mark.parametrize("verb", ["CONTENT", "BDAT"])
async def test_no_second_copy_follows_at_once_when_the_reply_to_the_content_is_lost(sender: Make, verb: str) -> None:
    capabilities = ("PIPELINING",) if verb == "CONTENT" else ("PIPELINING", "CHUNKING")
    async with (
        Sink({verb: CLOSE}, host="127.0.0.2", capabilities=capabilities) as first,
        second_server(first) as second,
    ):
        content = Text()
        (result,) = await sender(first.port).send(envelope(), content)
        assert (result.outcome, result.may_be_delivered) == (Outcome.TEMPORARY, True)
        assert (content.reads, second.connections) == (1, 0)


async def test_without_a_server_the_failure_is_the_result_of_all(sender: Make) -> None:
    async with Sink(host="127.0.0.1") as elsewhere:
        results = await sender(elsewhere.port).send(envelope("bob", "eve"), Text())
    assert outcomes(results) == [(Outcome.TEMPORARY, "4.4.1")] * 2
    assert "connection refused: 127.0.0.3" in results[0].text


async def test_a_permanent_refusal_by_all_servers_is_permanent(sender: Make) -> None:
    refusing = {"GREETING": reply("554 5.7.1 go away")}
    async with Sink(refusing, host="127.0.0.2") as first, second_server(first, refusing):
        assert outcomes(await sender(first.port).send(envelope(), Text())) == [(Outcome.PERMANENT, "5.7.1")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(DnsFault.NXDOMAIN, (Outcome.PERMANENT, "5.1.2")), (DnsFault.SERVFAIL, (Outcome.TEMPORARY, "4.4.3"))],
)
async def test_a_domain_without_a_route_has_the_reason_as_result(
    sender: Make, fault: DnsFault, expected: tuple[Outcome, str]
) -> None:
    assert outcomes(await sender(25, dns=FakeDns(mx={DOMAIN: fault})).send(envelope(), Text())) == [expected]


# TLS


async def test_tls_is_used_where_it_is_offered_with_any_certificate(sender: Make, authority: Authority) -> None:
    async with Sink(host="127.0.0.2", certificate=authority.serving("elsewhere.test")) as sink:
        await sender(sink.port).send(envelope(), Text())
        assert sink.messages[0].tls


@pytest.mark.parametrize("answer", [BROKEN_TLS, reply("454 4.7.0 not now")])
async def test_opportunistic_tls_that_fails_is_done_without(sender: Make, authority: Authority, answer: Any) -> None:
    script = {"STARTTLS": answer}
    async with Sink(script, host="127.0.0.2", certificate=authority.serving("mx1.there.test")) as sink:
        await sender(sink.port, timeouts=IMPATIENT).send(envelope(), Text())
        assert [message.tls for message in sink.messages] == [False]


@pytest.mark.parametrize(("level", "name"), [("require", None), ("verify", None), ("verify", "elsewhere.test")])
async def test_nothing_is_sent_in_plaintext_or_to_a_wrong_name_where_tls_is_required(
    sender: Make, authority: Authority, level: str, name: str | None
) -> None:
    rules = parse_tls_policies(f"{DOMAIN}={level}")
    async with Sink(host="127.0.0.2", certificate=authority.serving(name) if name else None) as sink:
        (result,) = await sender(sink.port, tls_policies=rules).send(envelope(), Text())
        assert result.outcome is Outcome.TEMPORARY
        assert "MAIL" not in sink.commands


async def test_a_rule_may_switch_tls_off(sender: Make, authority: Authority) -> None:
    rules = parse_tls_policies(f"{DOMAIN}=none")
    async with Sink(host="127.0.0.2", certificate=authority.serving("mx1.there.test")) as sink:
        await sender(sink.port, tls_policies=rules).send(envelope(), Text())
        assert [message.tls for message in sink.messages] == [False]


ENFORCED, TESTED = (Policy(mode, ("mx1.there.test",), 86_400) for mode in (Mode.ENFORCE, Mode.TESTING))


@pytest.mark.parametrize(
    ("certified", "outcome"), [("mx1.there.test", Outcome.ACCEPTED), ("elsewhere.test", Outcome.TEMPORARY)]
)
async def test_an_enforced_policy_needs_the_certificate_of_a_named_server(
    sender: Make, authority: Authority, certified: str, outcome: Outcome
) -> None:
    async with (
        Sink(host="127.0.0.2", certificate=authority.serving(certified)) as first,
        second_server(first) as second,
    ):
        (result,) = await sender(first.port, ENFORCED).send(envelope(), Text())
        assert result.outcome is outcome
        assert second.connections == 0  # the policy does not name mx2
        assert all(message.tls for message in first.messages)


async def test_a_tested_policy_that_is_not_met_stops_no_mail(sender: Make, authority: Authority) -> None:
    async with Sink(host="127.0.0.2", certificate=authority.serving("elsewhere.test")) as sink:
        (result,) = await sender(sink.port, TESTED).send(envelope(), Text())
        assert (result.outcome, sink.connections) == (Outcome.ACCEPTED, 2)  # the first verified
        assert sink.messages[0].tls


@pytest.mark.parametrize(
    ("policy", "certified", "expected"),
    [
        (ENFORCED, "mx1.there.test", (["success"], Security.VERIFIED)),
        (ENFORCED, "elsewhere.test", (["certificate-host-mismatch", "validation-failure"], Security.NONE)),
        (ENFORCED, None, (["starttls-not-supported", "validation-failure"], Security.NONE)),  # mx2 is not named
        (TESTED, "mx1.there.test", (["success"], Security.VERIFIED)),
        (TESTED, "elsewhere.test", (["certificate-host-mismatch"], Security.UNVERIFIED)),
        (TESTED, None, (["starttls-not-supported"], Security.NONE)),
        (None, "mx1.there.test", ([], Security.UNVERIFIED)),
    ],
)
async def test_what_became_of_the_policy_is_told(
    sender: Make,
    authority: Authority,
    policy: Policy | None,
    certified: str | None,
    expected: tuple[list[str], Security],
) -> None:
    observer = RecordingObserver()
    certificate = authority.serving(certified) if certified else None
    async with Sink(host="127.0.0.2", certificate=certificate) as sink:
        (result,) = await sender(sink.port, policy).send(envelope(), Text(), observer)
    modes = {mode for mode, _ in observer.policies}
    assert ([told for _, told in observer.policies], result.security) == expected
    assert modes == ({policy.mode.value} if policy is not None else set())


# Smarthosts


async def test_the_smarthost_gets_the_login_under_tls_only(sender: Make, authority: Authority) -> None:
    secret = Secret("a secret")
    async with Sink(certificate=authority.serving("localhost"), logins={"relay": "a secret"}) as sink:
        dns = FakeDns(addresses={"localhost": ["127.0.0.1"]})
        smarthosts = parse_smarthosts(f"localhost:{sink.port}")
        sending = sender(9, dns=dns, smarthosts=smarthosts, login=Login("relay", secret))
        assert outcomes(await sending.send(envelope(), Text())) == [(Outcome.ACCEPTED, "2.6.0")]
        assert (sink.messages[0].login, sink.messages[0].tls) == ("relay", True)


@pytest.mark.parametrize("level", [TlsLevel.VERIFY, TlsLevel.MAY])
async def test_the_login_is_not_sent_in_plaintext(sender: Make, level: TlsLevel) -> None:
    async with Sink(logins={"relay": "a secret"}) as sink:
        smarthosts = parse_smarthosts(f"127.0.0.1:{sink.port}")
        sending = sender(9, smarthosts=smarthosts, smarthost_level=level, login=Login("relay", Secret("a secret")))
        (result,) = await sending.send(envelope(), Text())
        assert result.outcome is Outcome.TEMPORARY
        assert not {"AUTH", "MAIL"} & set(sink.commands)


async def test_another_domains_smarthost_does_not_get_the_login(sender: Make, authority: Authority) -> None:
    async with Sink(certificate=authority.serving("127.0.0.1"), logins={"relay": "a secret"}) as sink:
        smarthosts = parse_smarthosts("127.0.0.1:9", f"{DOMAIN}=127.0.0.1:{sink.port}")
        sending = sender(9, smarthosts=smarthosts, login=Login("relay", Secret("a secret")))
        assert outcomes(await sending.send(envelope(), Text())) == [(Outcome.ACCEPTED, "2.6.0")]
        assert sink.messages[0].login == ""
