"""The start of a connection: connect, EHLO, TLS, AUTH."""

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest

from relate_relay.client.capabilities import NO_CAPABILITIES
from relate_relay.client.connection import Connection, open_connection
from relate_relay.client.errors import (
    ConnectFailed,
    ConnectFault,
    Disconnected,
    DisconnectFault,
    LoginFailed,
    LoginFault,
    ProtocolViolation,
    Refused,
    TlsFailed,
    TlsFault,
)
from relate_relay.client.redaction import OMITTED
from relate_relay.client.replies import Violation
from relate_relay.client.results import Outcome
from relate_relay.client.stream import connect_fault
from relate_relay.client.timeouts import Timeouts
from relate_wire.secret import Secret
from tests.integration.relay.client_fixtures import CLIENT_NAME, MESSAGE, Content, envelope, greeted, impatient
from tests.support.certificates import Authority
from tests.support.relay import sink as sinks
from tests.support.relay.recording import RecordingObserver
from tests.support.relay.sink import Answer, Sink, Then, reply

PASSWORD = Secret("correct horse")
NO = reply("550 5.7.1 no")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> ssl.SSLContext:
    return authority.serving("mx.example")


def unverified() -> ssl.SSLContext:
    """A context for opportunistic TLS (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# --- connect


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:  # bound, so that no other process listens there
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_a_refused_connection_is_temporary(closed_port: int) -> None:
    observer = RecordingObserver()
    with pytest.raises(ConnectFailed) as raised:
        await open_connection("127.0.0.1", closed_port, observer=observer)
    assert raised.value.reason is ConnectFault.REFUSED
    assert raised.value.temporary
    assert observer.steps == [("connect", f"failed: connection refused: 127.0.0.1 port {closed_port}")]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectionRefusedError(), ConnectFault.REFUSED),
        (TimeoutError(), ConnectFault.TIMEOUT),
        (ConnectionResetError(), ConnectFault.RESET),
        (OSError(113, "No route to host"), ConnectFault.UNREACHABLE),
        (OSError(99, "Cannot assign requested address"), ConnectFault.UNREACHABLE),
        (OSError("Multiple exceptions"), ConnectFault.UNREACHABLE),
    ],
)
def test_the_error_of_a_connection_attempt_is_classified(error: OSError, fault: ConnectFault) -> None:
    assert connect_fault(error) is fault


async def test_the_source_address_is_used() -> None:
    async with Sink() as sink:
        connection = await open_connection(sink.host, sink.port, source="127.0.0.2")
        await connection.greet(CLIENT_NAME)
        await connection.quit()
        with pytest.raises(ConnectFailed) as raised:
            await open_connection(sink.host, sink.port, source="192.0.2.1")
    assert raised.value.reason is ConnectFault.UNREACHABLE


# --- greeting and EHLO


async def test_the_capabilities_are_known_after_ehlo() -> None:
    async with Sink(capabilities=("PIPELINING", "SIZE 1000")) as sink:
        connection = await greeted(sink)
        assert (connection.capabilities.pipelining, connection.capabilities.max_size) == (True, 1000)
        assert not connection.is_secure
        await connection.quit()


@pytest.mark.parametrize("answer", [reply("500 5.5.1 unknown"), reply("502 5.5.1 no"), NO])
async def test_helo_follows_a_refused_ehlo_rfc_5321_section_3_2(answer: Answer) -> None:
    async with Sink({"EHLO": answer}) as sink:
        connection = await greeted(sink)
        assert connection.capabilities == NO_CAPABILITIES
        (result,) = await connection.send(envelope(), Content())
        await connection.quit()
    assert result.outcome is Outcome.ACCEPTED
    assert sink.commands == ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize(
    ("script", "command", "temporary"),
    [
        ({"GREETING": reply("554 5.3.2 no SMTP here")}, "GREETING", False),
        ({"GREETING": reply("450 4.7.1 later")}, "GREETING", True),
        ({"GREETING": sinks.CLOSING}, "GREETING", True),
        ({"EHLO": reply("451 4.3.0 later")}, "EHLO", True),
        ({"EHLO": sinks.CLOSING}, "EHLO", True),
        ({"EHLO": NO, "HELO": NO}, "EHLO", False),
    ],
)
async def test_a_refused_session_is_an_error(script: sinks.Script, command: str, temporary: bool) -> None:
    async with Sink(script) as sink:
        connection = await open_connection(sink.host, sink.port)
        with pytest.raises(Refused) as raised:
            await connection.greet(CLIENT_NAME)
        assert (raised.value.command, raised.value.temporary) == (command, temporary)
        await connection.quit()
        await sink.disconnected()


@pytest.mark.parametrize("stage", ["GREETING", "EHLO"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (sinks.SILENT, Disconnected),
        (sinks.CLOSE, Disconnected),
        (sinks.RESET, Disconnected),
        (sinks.NONSENSE, ProtocolViolation),
        (sinks.LONG_LINE, ProtocolViolation),
        (sinks.MANY_LINES, ProtocolViolation),
    ],
)
async def test_a_session_that_does_not_start_is_closed(stage: str, answer: Answer, error: type[Exception]) -> None:
    timeouts = impatient(stage) if answer is sinks.SILENT else Timeouts()
    async with Sink({stage: answer}) as sink:
        connection = await open_connection(sink.host, sink.port, timeouts=timeouts)
        with pytest.raises(error):
            await connection.greet(CLIENT_NAME)
        assert not connection.is_open
        await sink.disconnected()


async def test_a_greeting_of_many_octets_is_one_reply() -> None:
    async with Sink({"GREETING": sinks.lines(220, 1_000)}) as sink:
        connection = await greeted(sink)
        await connection.quit()


async def test_a_client_name_that_cannot_be_sent_closes_the_connection() -> None:
    async with Sink() as sink:
        connection = await open_connection(sink.host, sink.port)
        with pytest.raises(ValueError, match="client name"):
            await connection.greet("a\r\nb")
        assert not connection.is_open


# --- STARTTLS


async def test_starttls_is_followed_by_a_second_ehlo_rfc_3207_section_4_2(
    authority: Authority, certificate: ssl.SSLContext
) -> None:
    observer = RecordingObserver()
    async with Sink(certificate=certificate) as sink:
        connection = await greeted(sink, observer=observer)
        offered = [connection.capabilities.starttls]
        await connection.start_tls(authority.trusting, "mx.example")
        offered.append(connection.capabilities.starttls)
        assert offered == [True, False]
        assert connection.is_secure
        (result,) = await connection.send(envelope(), Content())
        await connection.quit()
        await sink.disconnected()
    assert result.outcome is Outcome.ACCEPTED
    assert (sink.messages[0].tls, sink.messages[0].content) == (True, MESSAGE)
    assert sink.commands[:3] == ["EHLO", "STARTTLS", "EHLO"]
    assert observer.tls_parameters == [("1.3", "TLS_AES_256_GCM_SHA384", True)]
    assert ("tls", "") in observer.steps


async def test_opportunistic_tls_is_not_verified(certificate: ssl.SSLContext) -> None:
    observer = RecordingObserver()
    async with Sink(certificate=certificate) as sink:
        connection = await greeted(sink, observer=observer)
        await connection.start_tls(unverified(), "other.example")
        await connection.quit()
    assert [verified for _, _, verified in observer.tls_parameters] == [False]


async def test_a_large_message_is_sent_over_tls(authority: Authority, certificate: ssl.SSLContext) -> None:
    content = Content(tuple([b".x" * 499 + b"\r\n"] * 5_000))
    for offer in (sinks.CAPABILITIES, sinks.WITHOUT_CHUNKING):
        async with Sink(certificate=certificate, capabilities=offer) as sink:
            connection = await greeted(sink)
            await connection.start_tls(authority.trusting, "mx.example")
            await connection.send(envelope(), content)
            await connection.quit()
        assert sink.messages[0].content == b"".join(content.chunks)


@pytest.mark.parametrize("name", ["wrong.example", "127.0.0.1", "", "a..b", "x" * 300, ".mx.example", "ü" * 70])
async def test_a_wrong_name_is_a_tls_failure(authority: Authority, certificate: ssl.SSLContext, name: str) -> None:
    observer = RecordingObserver()
    async with Sink(certificate=certificate) as sink:
        connection = await greeted(sink, observer=observer)
        with pytest.raises(TlsFailed) as raised:
            await connection.start_tls(authority.trusting, name)
        assert not connection.is_open
        await sink.disconnected()
    assert raised.value.reason is TlsFault.CERTIFICATE
    assert observer.steps[-1] == ("tls", f"failed: {raised.value}")
    assert observer.tls_parameters == []


async def test_an_unknown_authority_is_a_tls_failure(certificate: ssl.SSLContext) -> None:
    async with Sink(certificate=certificate) as sink:
        connection = await greeted(sink)
        with pytest.raises(TlsFailed, match="certificate") as raised:
            await connection.start_tls(Authority().trusting, "mx.example")
    assert raised.value.reason is TlsFault.CERTIFICATE


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (sinks.INJECTED, TlsFault.INJECTED),
        (Answer(b"220 go\r\n2"), TlsFault.INJECTED),
        (sinks.BROKEN_TLS, TlsFault.TIMEOUT),
        (sinks.NO_TLS, TlsFault.CLOSED),
        (reply("220 go", Then.RESET), TlsFault.CLOSED),
    ],
)
async def test_a_handshake_that_fails_closes_the_connection(answer: Answer, fault: TlsFault) -> None:
    timeouts = Timeouts(tls_seconds=0.1) if answer is sinks.BROKEN_TLS else Timeouts()
    observer = RecordingObserver()
    async with Sink({"STARTTLS": answer}, capabilities=("STARTTLS",)) as sink:
        connection = await greeted(sink, timeouts, observer)
        with pytest.raises((TlsFailed, Disconnected)) as raised:
            await connection.start_tls(unverified(), "mx.example")
        assert not connection.is_open
        await sink.disconnected()
    if isinstance(raised.value, TlsFailed):
        assert raised.value.reason is fault
        assert observer.steps[-1] == ("tls", f"failed: {raised.value}")
    else:
        assert answer.then is Then.RESET  # RST may overtake the reply


async def test_a_handshake_without_tls_on_the_other_side_fails() -> None:
    class Plain(Sink):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 sink.example\r\n")
            await reader.read(1)
            writer.write(b"500 this is no TLS\r\n")
            await reader.read()
            writer.close()

    async with Plain() as sink:
        with pytest.raises(TlsFailed) as raised:
            await open_connection(sink.host, sink.port, tls=unverified(), server_hostname="mx.example")
    assert raised.value.reason in (TlsFault.PROTOCOL, TlsFault.INJECTED)  # as the greeting is received after or before


@pytest.mark.parametrize("answer", [reply("454 4.7.0 TLS not available"), reply("502 5.5.1 no")])
async def test_a_refused_starttls_leaves_the_connection_without_tls(answer: Answer) -> None:
    async with Sink({"STARTTLS": answer}, capabilities=("STARTTLS",)) as sink:
        connection = await greeted(sink)
        with pytest.raises(Refused) as raised:
            await connection.start_tls(unverified(), "mx.example")
        assert raised.value.command == "STARTTLS"
        assert connection.is_open
        (result,) = await connection.send(envelope(), Content())
        await connection.quit()
    assert result.outcome is Outcome.ACCEPTED
    assert not sink.messages[0].tls


async def test_implicit_tls_begins_with_the_handshake(authority: Authority, certificate: ssl.SSLContext) -> None:
    observer = RecordingObserver()
    async with Sink(certificate=certificate, implicit_tls=True) as sink:
        connection = await open_connection(
            sink.host, sink.port, tls=authority.trusting, server_hostname="mx.example", observer=observer
        )
        await connection.greet(CLIENT_NAME)
        await connection.send(envelope(), Content())
        await connection.quit()
        with pytest.raises(TlsFailed):
            await open_connection(sink.host, sink.port, tls=authority.trusting, server_hostname="wrong.example")
        await sink.disconnected()
    assert sink.messages[0].tls
    assert [name for name, _ in observer.steps[:3]] == ["connect", "tls", "GREETING"]


async def test_a_connection_over_tls_that_is_lost_is_temporary(
    authority: Authority, certificate: ssl.SSLContext
) -> None:
    for answer in (sinks.CLOSE, sinks.RESET):
        async with Sink({"BDAT": answer}, certificate=certificate) as sink:
            connection = await greeted(sink)
            await connection.start_tls(authority.trusting, "mx.example")
            (result,) = await connection.send(envelope(), Content())
            assert not connection.is_open
        assert (result.outcome, result.may_be_delivered) == (Outcome.TEMPORARY, True)


# --- AUTH


async def secured(sink: Sink, authority: Authority, observer: RecordingObserver | None = None) -> Connection:
    connection = await greeted(sink, observer=observer or RecordingObserver())
    await connection.start_tls(authority.trusting, "mx.example")
    return connection


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_login_is_made_by_the_offered_mechanism(
    authority: Authority, certificate: ssl.SSLContext, mechanism: str
) -> None:
    observer = RecordingObserver()
    offer = (f"AUTH CRAM-MD5 {mechanism}",)
    async with Sink(capabilities=offer, certificate=certificate, logins={"ann": PASSWORD.reveal()}) as sink:
        connection = await secured(sink, authority, observer)
        await connection.log_in("ann", PASSWORD)
        await connection.send(envelope(), Content())
        await connection.quit()
    assert sink.messages[0].login == "ann"
    assert ("AUTH", "235 2.7.0 logged in") in observer.steps
    assert PASSWORD.reveal() not in repr(observer.steps)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_refused_login_has_the_reply_and_is_temporary(
    authority: Authority, certificate: ssl.SSLContext, mechanism: str
) -> None:
    script = {"AUTH": reply("535 5.7.8 LOGIN and PLAIN failed")}
    async with Sink(script, capabilities=(f"AUTH {mechanism}",), certificate=certificate) as sink:
        connection = await secured(sink, authority)
        with pytest.raises(LoginFailed) as raised:
            await connection.log_in("ann", PASSWORD)
        assert connection.is_open
        await connection.quit()
    assert raised.value.reason is LoginFault.REFUSED
    assert raised.value.reply is not None
    assert (str(raised.value.reply), raised.value.temporary) == ("535 5.7.8 LOGIN and PLAIN failed", True)


async def test_a_login_requires_tls() -> None:
    async with Sink(capabilities=("AUTH PLAIN",)) as sink:
        connection = await greeted(sink)
        with pytest.raises(LoginFailed, match="TLS") as raised:
            await connection.log_in("ann", PASSWORD)
        assert raised.value.reason is LoginFault.NO_TLS
        await connection.quit()
    assert "AUTH" not in sink.commands


async def test_a_login_requires_a_mechanism(authority: Authority, certificate: ssl.SSLContext) -> None:
    async with Sink(capabilities=("AUTH XOAUTH2",), certificate=certificate) as sink:
        connection = await secured(sink, authority)
        with pytest.raises(LoginFailed) as raised:
            await connection.log_in("ann", PASSWORD)
        assert raised.value.reason is LoginFault.NO_MECHANISM
        await connection.quit()


async def test_a_server_that_quotes_the_password_is_not_quoted(
    authority: Authority, certificate: ssl.SSLContext
) -> None:
    observer = RecordingObserver()
    async with Sink(certificate=certificate, logins={"ann": "x"}) as sink:
        sink.script["AUTH"] = lambda arguments: reply(f"500 5.5.2 unknown: AUTH {arguments}")
        connection = await secured(sink, authority, observer)
        with pytest.raises(LoginFailed) as raised:
            await connection.log_in("ann", PASSWORD)
        await connection.quit()
    assert str(raised.value) == f"login refused: 500 {OMITTED}"
    assert ("AUTH", f"500 {OMITTED}") in observer.steps


@pytest.mark.parametrize("answer", [sinks.CLOSE, sinks.NONSENSE, reply("334 AAAA")])
async def test_a_login_that_is_not_answered_fails(
    authority: Authority, certificate: ssl.SSLContext, answer: Answer
) -> None:
    async with Sink({"AUTH": answer}, certificate=certificate, logins={"ann": "x"}) as sink:
        connection = await secured(sink, authority)
        with pytest.raises((Disconnected, ProtocolViolation, LoginFailed)):
            await connection.log_in("ann", PASSWORD)
        await connection.quit()


async def test_a_password_that_cannot_be_sent_is_an_error_before_auth(
    authority: Authority, certificate: ssl.SSLContext
) -> None:
    async with Sink(certificate=certificate, logins={"ann": "x"}) as sink:
        connection = await secured(sink, authority)
        with pytest.raises(ValueError, match="password"):
            await connection.log_in("ann", Secret(""))
        await connection.quit()
    assert "AUTH" not in sink.commands


async def test_the_reason_of_a_lost_connection_is_told() -> None:
    async with Sink({"GREETING": sinks.SILENT}) as sink:
        connection = await open_connection(sink.host, sink.port, timeouts=impatient("GREETING"))
        with pytest.raises(Disconnected) as raised:
            await connection.greet(CLIENT_NAME)
    assert raised.value.reason is DisconnectFault.TIMEOUT
    assert str(raised.value) == "the server did not answer in time (GREETING)"


async def test_a_violation_tells_its_reason() -> None:
    async with Sink({"GREETING": sinks.NONSENSE}) as sink:
        connection = await open_connection(sink.host, sink.port)
        with pytest.raises(ProtocolViolation) as raised:
            await connection.greet(CLIENT_NAME)
    assert (raised.value.reason, raised.value.command) == (Violation.NO_CODE, "GREETING")
