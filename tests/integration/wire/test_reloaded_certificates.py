"""A certificate is replaced while connections are open: these continue, and new handshakes use the new one."""

import ssl
from pathlib import Path

from relate_wire.tls import Certificate
from tests.integration.wire.test_server import Client, connected, serving
from tests.support.certificates import Authority, presented
from tests.support.toy_protocol import ToyService


def serial_number(client: Client) -> int:
    tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    return presented(tls)


async def test_open_connections_keep_and_new_ones_get_the_new_certificate(tmp_path: Path) -> None:
    authority, path = Authority(), tmp_path / "server.pem"
    old = authority.issue(path)
    certificate = Certificate(path)
    async with (
        serving(ToyService().service(tls=certificate, implicit_tls=True)) as port,
        connected(port, authority.trusting) as before,
    ):
        new = authority.issue(path)
        certificate.reload()
        async with connected(port, authority.trusting) as after:
            assert (serial_number(before), serial_number(after)) == (old, new)
            assert await after.ask("ECHO new") == "new"
        assert await before.ask("ECHO still here") == "still here"


async def test_starttls_on_an_open_connection_gets_the_new_certificate(tmp_path: Path) -> None:
    authority, path = Authority(), tmp_path / "server.pem"
    authority.issue(path)
    certificate = Certificate(path)
    async with serving(ToyService().service(tls=certificate)) as port, connected(port) as client:
        new = authority.issue(path)
        certificate.reload()
        assert await client.ask("STARTTLS") == "begin"
        await client.writer.start_tls(authority.trusting, server_hostname="localhost")
        assert serial_number(client) == new
        assert await client.ask("ECHO fine") == "fine"
