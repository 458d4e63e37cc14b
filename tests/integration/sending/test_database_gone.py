"""PostgreSQL goes away during a conversation with another server: the result is stored when it is back."""

import asyncio
from collections.abc import Iterator

import pytest

from relate_relay import runner
from tests.integration.trouble.outage import Cluster, private_cluster
from tests.support.postgres import NoPostgresError
from tests.support.relay.internet import Internet
from tests.support.relay.sink import WITHOUT_CHUNKING, Answer
from tests.support.relay.system import TIMEOUT_SECONDS, System

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("sending-database")]

BRIEF_GRACE_SECONDS = 0.1
POLL_SECONDS = 0.02
SETTLING_SECONDS = 15.0  # much longer than the pause between attempts to store a result


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        with private_cluster() as running:
            running.server.create_migrated("template")
            yield running
    except NoPostgresError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    yield cluster.server.create("conversation", "template")
    cluster.server.drop("conversation")


@pytest.mark.xfail(strict=True, reason="a runner that an outage ends gives up the results that wait for the store")
async def test_a_message_that_was_accepted_while_the_database_was_away_is_sent_once(
    cluster: Cluster, url: str, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_SECONDS", BRIEF_GRACE_SECONDS)  # an outage is longer
    accepting = asyncio.Event()
    script = {"CONTENT": Answer(b"250 2.6.0 accepted\r\n", after=accepting)}
    sink = await internet.domain("there.test", script, capabilities=WITHOUT_CHUNKING)
    other = await internet.domain("other.test")
    system = System(url, internet)
    async with system.running():
        await system.submit("bob@there.test")
        await sink.received("DATA")
        await asyncio.to_thread(cluster.server.execute, "CHECKPOINT")  # a claim is not flushed by itself
        await cluster.stop()
        accepting.set()
        await system.tried()
        system.wake()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not system.failures:  # the runner ends, and is started again
                await asyncio.sleep(POLL_SECONDS)
        await cluster.start()
        async with asyncio.timeout(SETTLING_SECONDS):
            await system.until(system.is_empty)
        await system.submit("bob@other.test")
        await system.until(system.is_empty)
    assert [len(each.messages) for each in (sink, other)] == [1, 1]
