"""PostgreSQL is killed and restarted: mail is deferred meanwhile, and no message is lost or duplicated."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.trouble.clients import (
    STRANGER,
    TIMEOUT_SECONDS,
    begin_data,
    connected,
    deliver,
    pop3,
    retrieve_all,
    smtp,
)
from tests.integration.trouble.delivery_load import CONNECTIONS, DeliveryLoad, stored_numbers
from tests.integration.trouble.outage import Cluster
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_on_database
from tests.support.imap.client import ImapClient, Literal, logged_in

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("trouble-database")]

RESIDENTS = tuple(f"{name}@example.test" for name in ("ann", "bob", "carol", "dave"))
ANN = RESIDENTS[0]
POLL_SECONDS = 0.05
MESSAGE = b"Subject: x\r\n\r\ntext\r\n"


@pytest.fixture
async def servers(cluster: Cluster, certificates: Path) -> AsyncIterator[MailServers]:
    url = await asyncio.to_thread(cluster.server.create, "trouble", "template")
    try:
        async with serve_on_database(url, certificates) as servers:
            for resident in RESIDENTS:
                await servers.add_user(resident)
            yield servers
    finally:
        await asyncio.to_thread(cluster.server.drop, "trouble")


async def test_mail_is_deferred_while_the_database_is_down(servers: MailServers, cluster: Cluster) -> None:
    async with smtp(servers.mx) as client, pop3(servers.pop3, ANN, KEY) as reader:
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        assert (await begin_data(client, ANN)).startswith(b"354")
        await client.send(b"Subject: half of it\r\n")
        await cluster.stop()
        await client.send(b"\r\nand the rest\r\n.\r\n")
        assert await client.reply() == b"451 4.3.0 Local error, try again later"
        assert await client.ask("RCPT TO:<ann@example.test>") == b"503 5.5.1 MAIL first"
        assert await client.ask_all([f"MAIL FROM:<{STRANGER}>", "RCPT TO:<other@example.test>"]) == [
            b"250 2.1.0 Sender OK",
            b"451 4.3.0 Local error, try again later",
        ]
        assert (await client.ask("RSET")).startswith(b"250")
        assert await reader.ask("NOOP") == b"+OK NOOP completed"
        async with connected(servers.pop3) as other:
            await other.reply()
            replies = await other.ask_all([f"USER {RESIDENTS[1]}", f"PASS {KEY}"])
            assert replies[1] == b"-ERR [SYS/TEMP] Temporary failure, try again later"
        await cluster.start()
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        assert await reader.ask("QUIT") == b"+OK POP3 server localhost signing off"
    await wait_until_readable(servers)
    async with pop3(servers.pop3, ANN, KEY) as reader:
        assert [raw.endswith(MESSAGE) for raw in await retrieve_all(reader)] == [True, True]
    await servers.serve_neighbour()


async def wait_until_readable(servers: MailServers) -> None:
    """Return when the session connection, which holds maildrop locks, has reconnected."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await is_readable(servers):
            await asyncio.sleep(POLL_SECONDS)


async def is_readable(servers: MailServers) -> bool:
    async with connected(servers.pop3) as client:
        await client.reply()
        return (await client.ask_all([f"USER {NEIGHBOUR}", f"PASS {KEY}", "QUIT"]))[1].startswith(b"+OK")


async def test_a_load_continues_after_the_database_restarts(servers: MailServers, cluster: Cluster) -> None:
    load = DeliveryLoad(RESIDENTS)
    running = asyncio.create_task(load.run(servers.mx))
    await load.wait_for_more(100, load.accepted)
    await cluster.stop()
    await load.wait_for_more(CONNECTIONS, load.refused)
    await cluster.start()
    await load.wait_for_more(100, load.accepted)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await wait_until_readable(servers)
    assert load.faults(await stored_numbers(servers.pop3, dict.fromkeys(RESIDENTS, KEY))) == {}


async def test_terminated_database_sessions_lose_no_message(servers: MailServers, cluster: Cluster) -> None:
    load = DeliveryLoad(RESIDENTS)
    running = asyncio.create_task(load.run(servers.mx))
    for _ in range(3):
        await load.wait_for_more(50, load.accepted)
        await cluster.end_sessions()
    await load.wait_for_more(50, load.accepted)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await wait_until_readable(servers)
    assert load.faults(await stored_numbers(servers.pop3, dict.fromkeys(RESIDENTS, KEY))) == {}


async def test_database_sessions_terminated_between_messages_are_replaced(
    servers: MailServers, cluster: Cluster
) -> None:
    async with smtp(servers.mx) as client:
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        await cluster.end_sessions()
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")


async def test_a_response_broken_by_the_database_has_no_final_dot(servers: MailServers, cluster: Cluster) -> None:
    big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000
    async with smtp(servers.mx) as client:
        assert (await deliver(client, big, ANN)).startswith(b"250")
    async with pop3(servers.pop3, ANN, KEY) as reader:
        assert (await reader.ask("RETR 1")).startswith(b"+OK")
        reader.pause()
        await cluster.stop()
        reader.resume()
        received = await reader.rest()
        await cluster.start()
    assert 0 < len(received) < len(big)
    assert not received.endswith(b"\r\n.\r\n")
    await wait_until_readable(servers)
    async with pop3(servers.pop3, ANN, KEY) as reader:
        assert (await retrieve_all(reader))[0].endswith(big)


# --- IMAP

COMMANDS = (
    "FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* BODY.PEEK[]",
    "FETCH 1:* BODY[]",
    "SEARCH TEXT nowhere",
    "STORE 1 FLAGS (\\Seen)",
    "COPY 1 Archive",
    "EXPUNGE",
    "STATUS Archive (MESSAGES)",
    "SELECT Archive",
    "CREATE New",
)


async def test_imap_sessions_survive_a_database_restart(servers: MailServers, cluster: Cluster) -> None:
    async with logged_in(servers.imap, ANN, KEY) as client, logged_in(servers.imap, ANN, KEY) as idler:
        await client.ok("APPEND INBOX ", Literal(MESSAGE))
        await client.ok("SELECT INBOX")
        await idler.ok("SELECT INBOX")
        idle = await idler.idle()
        await cluster.stop()
        for command in COMMANDS:
            assert await refusal(client, command) == ("NO", "UNAVAILABLE"), command
            await client.ok("NOOP")
        assert await refusal(client, "APPEND INBOX ", Literal(MESSAGE)) == ("NO", "UNAVAILABLE")
        await cluster.start()
        await wait_until_ok(client, "SELECT INBOX")
        assert len((await client.ok("FETCH 1:* (FLAGS BODY[])")).of("FETCH")) == 1
        await client.ok("APPEND INBOX ", Literal(MESSAGE))
        while (response := await idler.receive()) is not None and (response.kind, response.number) != ("EXISTS", 2):
            pass
        await idler.done(idle)


async def test_a_fetch_interrupted_by_the_database_ends_in_no(servers: MailServers, cluster: Cluster) -> None:
    messages = [b"Subject: %d\r\n\r\n" % number + (b"x" * 70 + b"\r\n") * 400 for number in range(250)]
    async with logged_in(servers.imap, ANN, KEY) as client:
        await client.ok("APPEND INBOX", *(piece for raw in messages for piece in (" ", Literal(raw, plus=True))))
        await client.ok("SELECT INBOX")
        tag = await client.begin("FETCH 1:* (UID BODY.PEEK[])")
        await client.receive()
        await cluster.stop()
        answer = await client.finish(tag)
        assert answer.tagged is not None
        assert (answer.status, answer.tagged.code_name) == ("NO", "UNAVAILABLE")
        assert len(answer.of("FETCH")) < len(messages) - 1
        await cluster.start()
        await wait_until_ok(client, "FETCH 1 BODY.PEEK[]")


async def refusal(client: ImapClient, *pieces: str | Literal) -> tuple[str, str]:
    answer = await client.ask(*pieces)
    return answer.status, answer.tagged.code_name if answer.tagged else ""


async def wait_until_ok(client: ImapClient, command: str) -> None:
    """Repeat a command until it is OK: the pool replaces its stale connections one by one."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await client.ask(command)).status != "OK":
            await asyncio.sleep(POLL_SECONDS)
