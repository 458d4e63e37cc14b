"""A shutdown does not wait for handshakes, nor for handlers that ignore their cancellation."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from relate_wire.driver import Service
from relate_wire.limits import Limits
from relate_wire.reply import Reply
from relate_wire.server import Server
from tests.integration.wire.test_server import connected
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession, server_tls

TIMEOUT_SECONDS = 10.0
GRACE_SECONDS = 60.0  # for current commands, of which there are none here


def service_with_preamble(directory: Path) -> Service:
    return ToyService().service(Limits(trusted_proxies=(ip_network("127.0.0.0/8"),)))


def service_with_tls(directory: Path) -> Service:
    return ToyService().service(tls=server_tls(directory), implicit_tls=True)


@pytest.mark.parametrize("service", [service_with_preamble, service_with_tls])
async def test_a_shutdown_does_not_wait_for_a_client_in_its_handshake(
    tmp_path: Path, service: Callable[[Path], Service]
) -> None:
    async with Server(service(tmp_path), GRACE_SECONDS) as server, connected(server.ports[0], greeted=False) as client:
        await until_accepted(server)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await server.stop()
            assert await client.reader.read() == b""


async def until_accepted(server: Server) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not server._handshakes:
            await asyncio.sleep(0)


async def test_a_shutdown_does_not_wait_for_a_handler_that_cannot_be_cancelled() -> None:
    begun, released = asyncio.Event(), asyncio.Event()

    async def hang(_: ToySession, __: ToyCommand) -> Reply:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await released.wait()  # like a cleanup that waits for a database that does not respond
        return Reply(b"never\r\n")

    toy = ToyService(HANG=hang)
    async with Server(toy.service(), grace=0.1) as server, connected(server.ports[0]) as client:
        await client.say("HANG")
        await begun.wait()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await server.stop()
        released.set()
        await toy.sessions[0].closed.wait()
