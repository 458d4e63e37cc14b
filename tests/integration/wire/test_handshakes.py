"""The span of a TLS handshake: what was agreed on, or why a client cannot connect; and the ends of a connection."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

import pytest

from relate_wire import proxy
from relate_wire.limits import Limits
from relate_wire.server import Server
from tests.integration.wire.test_server import connected, serving
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.toy_protocol import ToyService, client_tls, server_tls

HOST = "127.0.0.1"
SHORT = Limits(handshake_timeout=0.2)


class Service(NamedTuple):
    """A toy server, its recorder and the certificate that a client trusts."""

    port: int
    recorder: Recorder
    certificates: Path

    async def ended(self) -> tuple[ReceivedSpan, ReceivedSpan]:
        """The spans of the session and of the handshake, after the end of the session."""
        await asyncio.to_thread(self.recorder.wait_for, lambda seen: seen.spans("imap.session"))
        return self.recorder.span("imap.session"), self.recorder.span("imap.tls.handshake")

    async def failure(self) -> str:
        """The reason of the failed handshake, which session and handshake share."""
        spans = await self.ended()
        assert [span.attributes["tls.established"] for span in spans] == [False, False]
        assert len({span.attributes["error.type"] for span in spans}) == 1
        assert spans[0].attributes["imap.end_reason"] == "TLS handshake failed"
        (reason,) = {span.attributes["imap.tls.failure_reason"] for span in spans}
        return str(reason)


@asynccontextmanager
async def toy(certificates: Path, *, implicit_tls: bool = True, limits: Limits | None = None) -> AsyncIterator[Service]:
    telemetry, recorder = recording_telemetry()
    service = ToyService().service(limits, server_tls(certificates), implicit_tls, telemetry=telemetry.protocol("imap"))
    async with serving(service) as port:
        yield Service(port, recorder, certificates)


async def shake_hands(port: int, context: ssl.SSLContext) -> None:
    await asyncio.to_thread(_shake_hands, port, context)


def _shake_hands(port: int, context: ssl.SSLContext) -> None:
    """With a blocking socket, because asyncio closes the connection without OpenSSL's alert."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port)) as sock:
        context.wrap_socket(sock, server_hostname="localhost").close()


def old_client(certificates: Path) -> ssl.SSLContext:
    context = client_tls(certificates)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def client_without_our_ciphers(certificates: Path) -> ssl.SSLContext:
    context = client_tls(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-SHA:@SECLEVEL=0")
    return context


def client_without_our_certificate(_: Path) -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (old_client, "UNSUPPORTED_PROTOCOL"),
        (client_without_our_ciphers, "NO_SHARED_CIPHER"),
        (client_without_our_certificate, "TLSV1_ALERT_UNKNOWN_CA"),
    ],
)
async def test_a_failed_handshake_has_the_reason_of_openssl(
    certificates: Path, client: Callable[[Path], ssl.SSLContext], reason: str
) -> None:
    async with toy(certificates) as service:
        await shake_hands(service.port, client(certificates))
        assert await service.failure() == reason


async def test_plain_text_on_the_tls_port_has_a_reason(certificates: Path) -> None:
    async with toy(certificates) as service, connected(service.port, greeted=False) as client:
        await client.say("GET / HTTP/1.1")
        assert await service.failure() == "HTTP_REQUEST"


async def test_a_client_that_waits_for_a_greeting_times_out(certificates: Path) -> None:
    async with toy(certificates, limits=SHORT) as service, connected(service.port, greeted=False):
        assert await service.failure() == "timeout"


async def test_a_client_that_closes_within_the_handshake_has_a_reason(certificates: Path) -> None:
    async with toy(certificates) as service:
        with socket.create_connection((HOST, service.port)) as client:
            client.sendall(b"\x16\x03\x01")
        assert await service.failure() == "connection closed"


async def test_a_handshake_after_starttls_has_a_reason(certificates: Path) -> None:
    async with (
        toy(certificates, implicit_tls=False, limits=SHORT) as service,
        connected(service.port) as client,
    ):
        assert await client.ask("STARTTLS") == "begin"
        assert await service.failure() == "timeout"


@pytest.mark.parametrize(
    ("version", "cipher"),
    [
        (ssl.TLSVersion.TLSv1_3, "TLS_AES_256_GCM_SHA384"),
        (ssl.TLSVersion.TLSv1_2, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ],
)
async def test_a_session_with_implicit_tls_has_version_and_cipher(
    certificates: Path, version: ssl.TLSVersion, cipher: str
) -> None:
    context = client_tls(certificates)
    context.maximum_version = version
    async with toy(certificates) as service:
        async with connected(service.port, context) as client:
            await client.ask("QUIT")
        session, handshake = await service.ended()
    number = version.name.removeprefix("TLSv").replace("_", ".")
    for span in (session, handshake):
        assert span.attributes["tls.established"] is True
        assert (span.attributes["tls.protocol.version"], span.attributes["tls.cipher"]) == (number, cipher)
    assert (handshake.trace_id, handshake.parent_id) == (session.trace_id, session.span_id)
    assert session.start <= handshake.start <= handshake.end <= session.end


async def test_a_session_after_starttls_has_version_and_cipher(certificates: Path) -> None:
    async with toy(certificates, implicit_tls=False) as service:
        async with connected(service.port) as client:
            assert await client.ask("STARTTLS") == "begin"
            await client.writer.start_tls(client_tls(certificates), server_hostname="localhost")
            await client.ask("QUIT")
        session, handshake = await service.ended()
    assert [span.attributes["tls.protocol.version"] for span in (session, handshake)] == ["1.3", "1.3"]


# The ends of a connection


async def test_a_session_is_seen_before_its_end(certificates: Path) -> None:
    async with toy(certificates, implicit_tls=False) as service, connected(service.port) as client:
        connect = await asyncio.to_thread(service.recorder.wait_for, lambda seen: seen.spans("imap.connect"))
        assert not service.recorder.spans("imap.session")
        address, port = client.writer.get_extra_info("sockname")
        ends = {
            "client.address": address,
            "client.port": port,
            "server.address": HOST,
            "server.port": service.port,
            "network.peer.address": address,
            "network.peer.port": port,
        }
        assert ends.items() <= connect[0].attributes.items()


async def test_behind_a_proxy_the_peer_is_the_proxy() -> None:
    telemetry, recorder = recording_telemetry()
    limits = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),))
    service = ToyService().service(limits, telemetry=telemetry.protocol("imap"))
    async with serving(service) as port, connected(port, greeted=False) as client:
        client.writer.write(proxy.encode(("192.0.2.7", 4711), ("192.0.2.1", 25)))
        assert await client.line() == "hello"
        address, proxy_port = client.writer.get_extra_info("sockname")
        attributes = recorder.span("imap.connect").attributes
    assert (attributes["client.address"], attributes["client.port"]) == ("192.0.2.7", 4711)
    assert (attributes["network.peer.address"], attributes["network.peer.port"]) == (address, proxy_port)
    assert (attributes["server.address"], attributes["server.port"]) == (HOST, port)


async def test_a_shutdown_within_a_handshake_is_its_end_reason(certificates: Path) -> None:
    telemetry, recorder = recording_telemetry()
    service = ToyService().service(
        tls=server_tls(certificates), implicit_tls=True, telemetry=telemetry.protocol("imap")
    )
    async with AsyncExitStack() as stack:
        async with Server(service) as server:
            await stack.enter_async_context(connected(server.ports[0], greeted=False))
            async with asyncio.timeout(10):
                while not server._handshakes:
                    await asyncio.sleep(0)
        assert recorder.span("imap.session").attributes["imap.end_reason"] == "shutting down"
        assert not recorder.spans("imap.tls.handshake")
