"""How the servers of one process start and stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relate.embedded import run_servers

SERVERS = 3


async def test_servers_stop_concurrently() -> None:
    all_stop = asyncio.Barrier(SERVERS)

    @asynccontextmanager
    async def server(number: int) -> AsyncIterator[int]:
        yield number
        await all_stop.wait()

    async with asyncio.timeout(10), run_servers(server(number) for number in range(SERVERS)) as entered:
        assert entered == list(range(SERVERS))


async def test_a_server_that_cannot_start_stops_those_before_it() -> None:
    stopped: list[int] = []

    @asynccontextmanager
    async def server(number: int) -> AsyncIterator[None]:
        if number == SERVERS - 1:
            raise OSError("the port is taken")
        yield
        stopped.append(number)

    with pytest.raises(OSError, match="the port is taken"):
        async with run_servers(server(number) for number in range(SERVERS)):
            pytest.fail("the block ran")
    assert sorted(stopped) == list(range(SERVERS - 1))
