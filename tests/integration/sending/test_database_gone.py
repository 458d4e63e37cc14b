"""PostgreSQL goes away during a conversation with another server: the result is stored when it is back."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.integration.trouble.outage import Cluster
from tests.support.relay.internet import Internet
from tests.support.relay.sink import WITHOUT_CHUNKING, Answer
from tests.support.relay.system import System

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("sending-database")]


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    yield cluster.server.create("conversation", "template")
    cluster.server.drop("conversation")


async def test_a_message_that_was_accepted_while_the_database_was_away_is_sent_once(
    cluster: Cluster, url: str, internet: Internet
) -> None:
    accepting = asyncio.Event()
    script = {"CONTENT": Answer(b"250 2.6.0 accepted\r\n", after=accepting)}
    sink = await internet.domain("there.test", script, capabilities=WITHOUT_CHUNKING)
    other = await internet.domain("other.test")
    system = System(url, internet)
    async with system.running():
        await system.submit("bob@there.test")
        await sink.received("DATA")
        await cluster.stop()
        accepting.set()
        await system.tried()
        system.wake()  # to claim, which fails
        await system.tried()
        await cluster.start()
        await system.until(system.is_empty)
        await system.submit("bob@other.test")
        await system.until(system.is_empty)
    assert [len(each.messages) for each in (sink, other)] == [1, 1]
    assert system.failures == 0
