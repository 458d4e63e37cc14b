"""The client and the SMTP server of this repository: a message arrives by each kind of connection."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from relate_relay.client.connection import Connection, open_connection
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.errors import LoginFailed
from relate_relay.client.results import Outcome
from relate_wire.secret import Secret
from tests.integration.relay.client_fixtures import CLIENT_NAME, Content
from tests.support.product import ADDRESS, HOST, Product

CONTENT = f"From: {ADDRESS}\r\nSubject: test\r\n\r\n..\r\n.\r\ngrüße\r\n".encode()
LONG = CONTENT + (b".x" * 40 + b"\r\n") * 50_000
TO_ALICE = Envelope(ADDRESS, (Recipient(ADDRESS, notify="NEVER"),), len(CONTENT), needs_8bit=True, envid="a+2Bb")

pytestmark = pytest.mark.xdist_group("relay-own-server")


class Server(Product):
    """A running product, with the key of its user."""

    key = ""

    def messages(self) -> list[bytes]:
        with self.pop3(ADDRESS, self.key) as client:
            numbers = range(1, client.stat()[0] + 1)
            messages = [b"\r\n".join(client.retr(number)[1]) + b"\r\n" for number in numbers]
            for number in numbers:
                client.dele(number)
            return messages


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    with Server(directory, Smtp__ServerName="localhost") as server:
        server.key = server.add_user()
        server.start()
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("relay")) as server:
        yield server


async def connected(server: Server, port: str, tls: ssl.SSLContext | None = None) -> Connection:
    connection = await open_connection(HOST, server.ports[port], tls=tls, server_hostname="localhost")
    await connection.greet(CLIENT_NAME)
    return connection


@pytest.mark.parametrize("content", [CONTENT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("port", ["Smtp__MxPort", "Smtp__Port", "Smtp__SecurePort"])
async def test_a_message_arrives_octet_for_octet_below_its_trace_fields(
    server: Server, port: str, content: bytes
) -> None:
    connection = await connected(server, port, server.tls() if port == "Smtp__SecurePort" else None)
    assert connection.capabilities.pipelining
    assert connection.capabilities.chunking
    if not connection.is_secure:
        await connection.start_tls(server.tls(), "localhost")
    if port != "Smtp__MxPort":
        await connection.log_in(ADDRESS, Secret(server.key))
    (result,) = await connection.send(replace(TO_ALICE, size=len(content)), Content((content,)))
    await connection.quit()
    assert (result.outcome, result.status) == (Outcome.ACCEPTED, "2.6.0")
    (message,) = server.messages()
    assert message.endswith(content)


async def test_refusals_are_results_and_the_connection_goes_on(server: Server) -> None:
    connection = await connected(server, "Smtp__MxPort")
    recipients = (Recipient("nobody@example.test"), Recipient("a@elsewhere.example"), Recipient(ADDRESS))
    refused = await connection.send(Envelope("", recipients[:2]), Content((CONTENT,)))
    mixed = await connection.send(Envelope("", recipients), Content((CONTENT,)))
    await connection.quit()
    assert [(result.outcome, result.status) for result in refused] == [
        (Outcome.PERMANENT, "5.1.1"),
        (Outcome.PERMANENT, "5.7.1"),
    ]
    assert [result.outcome for result in mixed] == [Outcome.PERMANENT, Outcome.PERMANENT, Outcome.ACCEPTED]
    assert len(server.messages()) == 1


async def test_a_wrong_key_is_a_failed_login(server: Server) -> None:
    connection = await connected(server, "Smtp__SecurePort", server.tls())
    with pytest.raises(LoginFailed) as raised:
        await connection.log_in(ADDRESS, Secret("wrong"))
    await connection.quit()
    assert raised.value.reply is not None
    assert raised.value.reply.enhanced == "5.7.8"
