"""PostgreSQL is killed and comes back: mail is put off meanwhile, and none of it is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.trouble.clients import (
    PATIENCE,
    STRANGER,
    begin_data,
    connected,
    deliver,
    pop3,
    retrieve_all,
    smtp,
)
from tests.integration.trouble.house import KEY, NEIGHBOUR, House, on_database
from tests.integration.trouble.load import CONNECTIONS, Load, stored_numbers
from tests.integration.trouble.outage import Cluster, own_cluster
from tests.support.imap.client import ImapClient, Literal, logged_in
from tests.support.postgres import NoPostgresError

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("trouble-database")]

RESIDENTS = tuple(f"{name}@example.test" for name in ("ann", "bob", "carol", "dave"))
ANN = RESIDENTS[0]
ASK_AGAIN = 0.05  # seconds
MESSAGE = b"Subject: x\r\n\r\ntext\r\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        with own_cluster() as running:
            running.server.create_migrated("template")
            yield running
    except NoPostgresError as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def house(cluster: Cluster, certificates: Path) -> AsyncIterator[House]:
    url = await asyncio.to_thread(cluster.server.create, "trouble", "template")
    async with on_database(url, certificates) as house:
        for resident in RESIDENTS:
            await house.add_user(resident)
        yield house
    await asyncio.to_thread(cluster.server.drop, "trouble")


async def test_mail_is_put_off_while_the_database_is_gone(house: House, cluster: Cluster) -> None:
    async with smtp(house.mx) as client, pop3(house.pop3, ANN, KEY) as reader:
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        assert (await begin_data(client, ANN)).startswith(b"354")
        await client.send(b"Subject: half of it\r\n")
        await cluster.stop()
        await client.send(b"\r\nand the rest\r\n.\r\n")
        assert await client.reply() == b"451 4.3.0 Local error, try again later"
        assert await client.ask("RCPT TO:<ann@example.test>") == b"503 5.5.1 MAIL first"
        assert await client.ask_all([f"MAIL FROM:<{STRANGER}>", "RCPT TO:<somebody.else@example.test>"]) == [
            b"250 2.1.0 Sender OK",
            b"451 4.3.0 Local error, try again later",
        ]
        assert (await client.ask("RSET")).startswith(b"250")
        assert await reader.ask("NOOP") == b"+OK NOOP completed"
        async with connected(house.pop3) as other:
            await other.reply()
            replies = await other.ask_all([f"USER {RESIDENTS[1]}", f"PASS {KEY}"])
            assert replies[1] == b"-ERR [SYS/TEMP] Temporary failure, try again later"
        await cluster.start()
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        assert await reader.ask("QUIT") == b"+OK POP3 server localhost signing off"
    await until_readable(house)
    async with pop3(house.pop3, ANN, KEY) as reader:
        assert [raw.endswith(MESSAGE) for raw in await retrieve_all(reader)] == [True, True]
    await house.serve_neighbour()


async def until_readable(house: House) -> None:
    """The connection that holds maildrops is made again by itself, a moment after the database is back."""
    async with asyncio.timeout(PATIENCE):
        while not await is_readable(house):
            await asyncio.sleep(ASK_AGAIN)


async def is_readable(house: House) -> bool:
    async with connected(house.pop3) as client:
        await client.reply()
        return (await client.ask_all([f"USER {NEIGHBOUR}", f"PASS {KEY}", "QUIT"]))[1].startswith(b"+OK")


async def test_a_load_goes_on_when_the_database_is_back(house: House, cluster: Cluster) -> None:
    load = Load(RESIDENTS)
    under_way = asyncio.create_task(load.run(house.mx))
    await load.wait_for(100, load.accepted)
    await cluster.stop()
    await load.wait_for(CONNECTIONS, load.refused)
    await cluster.start()
    await load.wait_for(100, load.accepted)
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    await until_readable(house)
    assert load.faults(await stored_numbers(house.pop3, dict.fromkeys(RESIDENTS, KEY))) == {}


async def test_sessions_that_an_administrator_ends_lose_nothing(house: House, cluster: Cluster) -> None:
    load = Load(RESIDENTS)
    under_way = asyncio.create_task(load.run(house.mx))
    for _ in range(3):
        await load.wait_for(50, load.accepted)
        await cluster.end_sessions()
    await load.wait_for(50, load.accepted)
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    await until_readable(house)
    assert load.faults(await stored_numbers(house.pop3, dict.fromkeys(RESIDENTS, KEY))) == {}


async def test_sessions_that_were_ended_between_two_messages_are_not_noticed(house: House, cluster: Cluster) -> None:
    async with smtp(house.mx) as client:
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")
        await cluster.end_sessions()
        assert (await deliver(client, MESSAGE, ANN)).startswith(b"250")


async def test_a_message_that_cannot_be_read_to_its_end_has_none(house: House, cluster: Cluster) -> None:
    big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000
    async with smtp(house.mx) as client:
        assert (await deliver(client, big, ANN)).startswith(b"250")
    async with pop3(house.pop3, ANN, KEY) as reader:
        assert (await reader.ask("RETR 1")).startswith(b"+OK")
        reader.pause()
        await cluster.stop()
        reader.resume()
        came = await reader.rest()
        await cluster.start()
    assert 0 < len(came) < len(big)
    assert not came.endswith(b"\r\n.\r\n")
    await until_readable(house)
    async with pop3(house.pop3, ANN, KEY) as reader:
        assert (await retrieve_all(reader))[0].endswith(big)


# --- IMAP

QUESTIONS = (
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


async def test_imap_sessions_outlive_the_database(house: House, cluster: Cluster) -> None:
    async with logged_in(house.imap, ANN, KEY) as client, logged_in(house.imap, ANN, KEY) as idler:
        await client.ok("APPEND INBOX ", Literal(MESSAGE))
        await client.ok("SELECT INBOX")
        await idler.ok("SELECT INBOX")
        idle = await idler.idle()
        await cluster.stop()
        for question in QUESTIONS:
            assert await refusal(client, question) == ("NO", "UNAVAILABLE"), question
            await client.ok("NOOP")
        assert await refusal(client, "APPEND INBOX ", Literal(MESSAGE)) == ("NO", "UNAVAILABLE")
        await cluster.start()
        await until_answered(client, "SELECT INBOX")
        assert len((await client.ok("FETCH 1:* (FLAGS BODY[])")).of("FETCH")) == 1
        await client.ok("APPEND INBOX ", Literal(MESSAGE))
        while (response := await idler.receive()) is not None and (response.kind, response.number) != ("EXISTS", 2):
            pass
        await idler.done(idle)


async def test_a_fetch_of_many_messages_is_a_no_from_where_the_database_goes(house: House, cluster: Cluster) -> None:
    messages = [b"Subject: %d\r\n\r\n" % number + (b"x" * 70 + b"\r\n") * 400 for number in range(250)]
    async with logged_in(house.imap, ANN, KEY) as client:
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
        await until_answered(client, "FETCH 1 BODY.PEEK[]")


async def refusal(client: ImapClient, *pieces: str | Literal) -> tuple[str, str]:
    answer = await client.ask(*pieces)
    return answer.status, answer.tagged.code_name if answer.tagged else ""


async def until_answered(client: ImapClient, command: str) -> None:
    """The pool finds out connection by connection that the database is another one now."""
    async with asyncio.timeout(PATIENCE):
        while (await client.ask(command)).status != "OK":
            await asyncio.sleep(ASK_AGAIN)
