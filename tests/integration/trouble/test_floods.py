"""Floods of connections, commands and logins: other clients are served as usual."""

import asyncio
import base64
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from relate_accounts.keys import generate_key
from relate_accounts.ratelimit import PER_CLIENT, Limit
from relate_mailstore.types import Delivery, Destination
from relate_wire import proxy
from relate_wire.limits import Limits, raise_open_files
from tests.integration.trouble.clients import STRANGER, TIMEOUT_SECONDS, Client, connected, pop3, smtp
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_in_memory
from tests.support.product import HOST
from tests.support.toy_protocol import client_tls

IDLERS = 2_000
OPEN_FILES = 2 * IDLERS + 200  # both ends of each connection are in this process


async def test_a_flood_of_commands_does_not_starve_other_clients(servers: MailServers) -> None:
    flood, answer = 100_000, b"+OK NOOP completed\r\n"
    async with pop3(servers.pop3, NEIGHBOUR, KEY) as flooder, smtp(servers.mx) as other:
        flooding = asyncio.create_task(flooder.send(b"NOOP\r\n" * flood))
        answers = asyncio.create_task(flooder.octets(flood * len(answer)))
        assert await other.ask_all(["NOOP"] * 10) == [b"250 2.0.0 OK"] * 10
        assert not answers.done(), "the flood was answered first"
        await flooding
        assert await answers == answer * flood


async def test_thousands_of_idle_connections_do_not_block_other_clients(servers: MailServers) -> None:
    if raise_open_files() < OPEN_FILES:
        pytest.skip(f"{OPEN_FILES} open files are not allowed here")
    async with AsyncExitStack() as stack:
        with bounded_memory(IDLERS * 40_000):
            idlers = [await stack.enter_async_context(smtp(servers.mx)) for _ in range(IDLERS)]
        await servers.serve_neighbour()
        assert await idlers[0].ask("NOOP") == await idlers[-1].ask("NOOP") == b"250 2.0.0 OK"
    await servers.serve_neighbour()


async def test_connections_beyond_the_limit_are_answered_421(certificates: Path) -> None:
    limit, attempts = 50, 500
    async with serve_in_memory(certificates, Limits(max_connections=limit)) as servers:
        async with AsyncExitStack() as stack:
            clients = await asyncio.gather(*(stack.enter_async_context(connected(servers.mx)) for _ in range(attempts)))
            greetings = Counter([(await client.reply())[:3] for client in clients])
            assert greetings == {b"220": limit, b"421": attempts - limit}
            async with pop3(servers.pop3, NEIGHBOUR, KEY) as reader:  # each service has its own limit
                assert await reader.ask("NOOP") == b"+OK NOOP completed"
        await wait_until_served(servers)


async def wait_until_served(servers: MailServers) -> None:
    """Return when the server has noticed the closed connections and accepts new ones."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await is_accepted(servers):
            await asyncio.sleep(0)
    await servers.serve_neighbour()


async def is_accepted(servers: MailServers) -> bool:
    async with connected(servers.mx) as client:
        return (await client.reply()).startswith(b"220")


async def test_repeated_recipients_count_up_to_the_limit(servers: MailServers) -> None:
    sent, limit = 10_000, 1_000
    async with smtp(servers.mx) as client:
        with bounded_memory(32 * MEGABYTE):
            await client.ask(f"MAIL FROM:<{STRANGER}>")
            sending = asyncio.create_task(client.send(f"RCPT TO:<{NEIGHBOUR}>\r\n".encode() * sent))
            answers = Counter([reply[:9] for reply in await client.replies(sent)])
            await sending
        assert answers == {b"250 2.1.5": limit, b"452 4.5.3": sent - limit}
        assert (await client.ask("RSET")).startswith(b"250")
    await servers.serve_neighbour()


# --- a client that never reads

READERS = 20
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 250_000  # 18 MB


@pytest.mark.parametrize("listener", ["pop3", "pop3s"])
async def test_a_client_that_does_not_read_a_big_message_takes_bounded_memory(
    servers: MailServers, certificates: Path, listener: str
) -> None:
    accounts = [await servers.add_user(f"reader{number}@example.test") for number in range(READERS)]
    await servers.store.deliver(Delivery(BIG, tuple(map(Destination, accounts))))
    tls = client_tls(certificates) if listener == "pop3s" else None
    async with AsyncExitStack() as stack:
        with bounded_memory(READERS * 2 * MEGABYTE):
            readers = [
                await stack.enter_async_context(pop3(getattr(servers, listener), f"reader{n}@example.test", KEY, tls))
                for n in range(READERS)
            ]
            for reader in readers:
                assert (await reader.ask("NOOP")) == b"+OK NOOP completed"
                reader.pause()
                await reader.send(b"RETR 1\r\n")
            await servers.serve_neighbour()
        readers[0].resume()
        assert (await readers[0].reply()).startswith(b"+OK")
        assert await readers[0].content() == BIG


@pytest.mark.parametrize("listing", ["LIST", "UIDL"])
async def test_pipelined_listings_without_reading_take_bounded_memory(servers: MailServers, listing: str) -> None:
    """Each command has six octets, each reply a hundred thousand."""
    account = await servers.add_user("reader@example.test")
    for _ in range(5_000):
        await servers.store.deliver(Delivery(b"Subject: x\r\n\r\n", (Destination(account),)))
        await asyncio.sleep(0)  # the store in memory never waits, and 5,000 deliveries would be one callback
    async with pop3(servers.pop3, "reader@example.test", KEY) as reader:
        reader.pause()
        with bounded_memory(16 * MEGABYTE):
            reader.writer.write(f"{listing}\r\n".encode() * 2_000)
            await servers.serve_neighbour()
        reader.resume()
        for _ in range(3):
            assert (await reader.reply()).startswith(b"+OK 5000 messages")
            assert (await reader.content()).count(b"\r\n") == 5_000


# --- wrong logins

WRONG, LIMITED, RIGHT = b"535 5.7.8", b"454 4.7.0", b"235 2.7.0"
PROMPT_REFUSALS = 9  # per connection; later refusals are delayed
VICTIM = "victim@example.test"
SMALL_LIMIT = Limit(burst=20, seconds=6, delayed=0)  # no delay beyond it, to keep the test fast

Connect = Callable[[], AbstractAsyncContextManager[Client]]


async def test_thousands_of_wrong_logins_lock_out_neither_user_nor_address(
    servers: MailServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers.authenticator._wrong_logins._clients, "limit", SMALL_LIMIT)
    await servers.add_user(VICTIM)
    connect = partial(smtp, servers.submission)
    with bounded_memory(32 * MEGABYTE):
        answers = await guess(connect, [VICTIM] * 5_000)
        assert answers.keys() == {WRONG, LIMITED}
        assert answers[WRONG] < 200
        assert await log_in(connect, VICTIM) == RIGHT
        assert await log_in(connect, NEIGHBOUR) == RIGHT
    await servers.serve_neighbour()


async def test_wrong_logins_behind_a_proxy_lock_out_no_user(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with serve_in_memory(certificates, limits, {"plaintext_authentication": "always"}) as servers:
        monkeypatch.setattr(servers.authenticator._wrong_logins._clients, "limit", SMALL_LIMIT)
        guesser = partial(connect_through_proxy, servers.submission, "192.0.2.7")
        answers = await guess(guesser, [f"user{number}@example.test" for number in range(200)])
        assert answers.keys() == {WRONG, LIMITED}
        assert answers[WRONG] < 40
        assert await log_in(guesser, NEIGHBOUR) == RIGHT
        assert await log_in(partial(connect_through_proxy, servers.submission, "198.51.100.1"), NEIGHBOUR) == RIGHT


async def test_delayed_wrong_logins_do_not_delay_a_right_one(servers: MailServers) -> None:
    connect = partial(smtp, servers.submission)
    async with AsyncExitStack() as stack:
        guessers = [await stack.enter_async_context(connect()) for _ in range(PER_CLIENT.burst + 150)]
        guesses = [asyncio.create_task(client.ask(auth(VICTIM, generate_key()))) for client in guessers]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        assert await log_in(connect, NEIGHBOUR) == RIGHT
        assert not all(task.done() for task in guesses), "the wrong logins were not delayed"
        answers = Counter([reply[:9] for reply in await asyncio.gather(*guesses)])
    assert answers == {WRONG: PER_CLIENT.burst, LIMITED: 150}


async def guess(connect: Connect, names: list[str]) -> Counter[bytes]:
    """Try a wrong key for each name, reconnecting when the server closes; counts the replies."""
    answers: Counter[bytes] = Counter()
    waiting = list(names)
    while waiting:
        async with connect() as client:
            with contextlib.suppress(ConnectionError):
                for _ in range(PROMPT_REFUSALS):
                    if not waiting or not (reply := await client.ask(auth(waiting[-1], "guessed"))):
                        break
                    answers[reply[:9]] += 1
                    waiting.pop()
    return answers


async def log_in(connect: Connect, name: str) -> bytes:
    async with connect() as client:
        return (await client.ask(auth(name, KEY)))[:9]


def auth(name: str, key: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}\0{key}".encode()).decode()


@contextlib.asynccontextmanager
async def connect_through_proxy(port: int, address: str) -> AsyncIterator[Client]:
    """A client behind a trusted proxy."""
    async with connected(port) as client:
        await client.send(proxy.encode((address, 4711), (HOST, port)))
        await client.reply()
        await client.ask("EHLO client.example.org")
        yield client
