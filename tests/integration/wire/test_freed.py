"""Whatever ends a connection: its driver, session, framer and content are freed by counting, without the collector."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_wire import driver, proxy, server
from relate_wire.limits import Limits
from tests.integration.trouble.clients import STRANGER, Client, connected, smtp
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_in_memory

PATIENCE = 3.0  # seconds
IMPATIENT = Limits(session_timeout=0.3, handshake_timeout=0.3)
PROXIED = Limits(session_timeout=0.3, handshake_timeout=0.3, trusted_proxies=(ip_network("127.0.0.0/8"),))

HELLO = ("EHLO client.example.org", f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{NEIGHBOUR}>")
BINARY = ("EHLO client.example.org", f"MAIL FROM:<{STRANGER}> BODY=BINARYMIME", f"RCPT TO:<{NEIGHBOUR}>")
POP3_LOGIN = (f"USER {NEIGHBOUR}", f"PASS {KEY}")
IMAP_LOGIN = (f"a LOGIN {NEIGHBOUR} {KEY}",)
HALF = b"Subject: half\r\n\r\n" + b"x" * 100_000
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 5_000


class Case(NamedTuple):
    """What a client says at which door: commands that are answered, then octets. Then it goes, or is let go."""

    door: str
    commands: Sequence[str]
    octets: bytes = b""
    limits: Limits = Limits()


# The client is gone, without a word.
RESET = {
    "greeted": Case("mx", ()),
    "DATA": Case("mx", (*HELLO, "DATA"), HALF),
    "BDAT, within a chunk": Case("mx", HELLO, b"BDAT 200000\r\n" + HALF),
    "BDAT, after a chunk": Case("mx", BINARY, b"BDAT %d\r\n" % len(HALF) + HALF),
    "BDAT that is drained": Case("mx", HELLO[:1], b"BDAT 200000\r\n" + HALF),
    "AUTH": Case("submission", (HELLO[0], "AUTH LOGIN"), b"YWxp"),
    "half a STARTTLS": Case("mx", (HELLO[0], "STARTTLS"), b"\x16\x03\x01"),
    "APPEND": Case("imap", (*IMAP_LOGIN, "b APPEND INBOX {200000}"), HALF),
    "MULTIAPPEND": Case("imap", IMAP_LOGIN, b"b APPEND INBOX {%d+}\r\n%b ~{200000+}\r\n" % (len(HALF), HALF) + HALF),
    "half an IMAP line": Case("imap", IMAP_LOGIN, b"b SEARCH " + b"x" * 500_000),
    "AUTHENTICATE": Case("imap", ("a AUTHENTICATE PLAIN",), b"AGFu"),
    "IDLE": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE")),
    "half a POP3 command": Case("pop3", POP3_LOGIN, b"RET"),
    "POP3 AUTH": Case("pop3", ("AUTH PLAIN",), b"AGFu"),
    "half a handshake": Case("submissions", (), b"\x16\x03\x01\x02\x00\x01"),
}

# The server ends the connection: the client reads until it has.
ENDED = {
    "QUIT": Case("mx", (*HELLO, "DATA"), b"Subject: x\r\n\r\n.\r\nQUIT\r\n"),
    "DATA refused": Case("mx", (*HELLO, "DATA"), b"bare\nLF\r\n.\r\nQUIT\r\n"),
    "too many refusals": Case("mx", HELLO[:2], b"RCPT TO:<x>\r\n" * 9 + b"BDAT 200000\r\n" + HALF, IMPATIENT),
    "a malformed BDAT": Case("mx", HELLO, b"BDAT x\r\n"),
    "SASL broken off": Case("submission", (HELLO[0], "AUTH PLAIN"), b"*\r\nAUTH PLAIN =\r\nAUTH X\r\nQUIT\r\n"),
    "APPEND refused": Case("imap", IMAP_LOGIN, b"b APPEND nowhere {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "APPEND too large": Case("imap", ("a NOOP",), b"b APPEND x {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "APPEND": Case("imap", IMAP_LOGIN, b"b APPEND INBOX {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "IDLE ended": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"DONE\r\nd LOGOUT\r\n"),
    "IDLE ended otherwise": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"x\r\nd LOGOUT\r\n"),
    "IMAP SASL broken off": Case("imap", ("a AUTHENTICATE PLAIN",), b"*\r\nb LOGOUT\r\n"),
    "POP3 QUIT": Case("pop3", POP3_LOGIN, b"LIST\r\nRETR 1\r\nQUIT\r\n"),
    "POP3 refused": Case("pop3", ("USER x", "PASS y"), b"PASS\r\nNOPE\r\nQUIT\r\n"),
    "POP3 SASL broken off": Case("pop3", ("AUTH PLAIN",), b"*\r\nQUIT\r\n"),
    "DATA, silence": Case("mx", (*HELLO, "DATA"), HALF, IMPATIENT),
    "BDAT, silence": Case("mx", HELLO, b"BDAT 200000\r\n" + HALF, IMPATIENT),
    "APPEND, silence": Case("imap", (*IMAP_LOGIN, "b APPEND INBOX {200000}"), HALF, IMPATIENT),
    "IDLE, silence": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"", IMPATIENT),
    "POP3, silence": Case("pop3", POP3_LOGIN, b"RET", IMPATIENT),
    "no TLS": Case("submissions", (), b"EHLO not.tls\r\n" * 100),
    "no TLS after STARTTLS": Case("mx", (HELLO[0], "STARTTLS"), b"EHLO not.tls\r\n" * 100),
    "no TLS after STLS": Case("pop3", ("STLS",), b"USER ann\r\n" * 100),
    "no TLS after IMAP's STARTTLS": Case("imap", ("a STARTTLS",), b"b NOOP\r\n" * 100),
    "no handshake": Case("imaps", (), b"", IMPATIENT),
    "no handshake after STARTTLS": Case("mx", (HELLO[0], "STARTTLS"), b"", IMPATIENT),
    "no preamble": Case("mx", (), b"EHLO without.a.preamble\r\n", PROXIED),
    "no TLS after a preamble": Case(
        "submissions", (), proxy.encode(("192.0.2.7", 1), ("192.0.2.1", 2)) + b"EHLO not.tls\r\n", PROXIED
    ),
}

# The server is stopped.
STOPPED = {
    name: RESET[name] for name in ("greeted", "DATA", "BDAT, after a chunk", "APPEND", "MULTIAPPEND", "IDLE", "AUTH")
} | {"half a handshake": RESET["half a handshake"], "POP3": Case("pop3", POP3_LOGIN)}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Any]]]:
    """All that is made for connections, while the collector is off."""
    made: list[weakref.ref[Any]] = []

    class Watched(driver.Driver[Any, Any]):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            content = self._content
            parts = (self, self.connection, self._engine, self._engine.session, self._engine.framer, content)
            made.extend(map(weakref.ref, (*parts, content._buffer)))

    monkeypatch.setattr(server, "Driver", Watched)
    gc.disable()
    try:
        yield made
    finally:
        gc.enable()


async def until_freed(made: list[weakref.ref[Any]]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while any(one() is not None for one in made):
                await asyncio.sleep(0)
    assert [type(one()).__name__ for one in made if one() is not None] == []


async def say(house: MailServers, case: Case, stack: AsyncExitStack) -> Client:
    """A client that has said all; where it is greeted, each command is answered first."""
    client = await stack.enter_async_context(connected(getattr(house, case.door)))
    if case.door in ("mx", "submission", "pop3", "imap") and not case.limits.trusted_proxies:
        await client.reply()
        await client.ask_all(case.commands)
    await client.send(case.octets)
    return client


@pytest.mark.parametrize("case", RESET.values(), ids=RESET.keys())
async def test_what_a_client_leaves_behind_is_freed(
    alive: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        client = await say(house, case, stack)
        assert alive
        if case.octets and not case.octets.startswith(b"\x16"):
            await until_read(alive, case)
        client.abort()
        await until_freed(alive)


async def until_read(made: list[weakref.ref[Any]], case: Case) -> None:
    """Something of the last octets has arrived at the framer, so that there is something to be freed."""
    async with asyncio.timeout(PATIENCE):
        while not any(isinstance(one(), driver.Driver) and has_read(one(), len(case.octets)) for one in made):
            await asyncio.sleep(0)


def has_read(one: Any, octets: int) -> bool:
    return bool(one.connection.received >= octets)


@pytest.mark.parametrize("case", ENDED.values(), ids=ENDED.keys())
async def test_what_the_server_ends_is_freed(alive: list[weakref.ref[Any]], certificates: Path, case: Case) -> None:
    async with serve_in_memory(certificates, case.limits) as house, AsyncExitStack() as stack:
        client = await say(house, case, stack)
        await client.rest()
        await until_freed(alive)
    assert alive or case is ENDED["no preamble"]


@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED.keys())
async def test_what_a_stop_ends_is_freed(alive: list[weakref.ref[Any]], certificates: Path, case: Case) -> None:
    async with AsyncExitStack() as stack:
        async with serve_in_memory(certificates) as house:
            await say(house, case, stack)
        assert alive
        await until_freed(alive)


# --- a reply that breaks off


class TornMessage:
    """A message of which only the beginning can be read."""

    at_hand = None

    def __init__(self, whole: MemoryRawMessage) -> None:
        self.size = whole.size
        self.origin = None
        self._whole = whole

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        yield await self._whole.read(0, 10_000)
        raise RuntimeError("the disk is torn")

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(start, stop)])


async def account_of(house: MailServers) -> AccountId:
    return AccountId((await house.accounts.user_by_address(NEIGHBOUR)).id)


BROKEN = {
    "RETR": Case("pop3", POP3_LOGIN, b"RETR 1\r\nQUIT\r\n"),
    "TOP": Case("pop3", POP3_LOGIN, b"TOP 1 9999\r\nQUIT\r\n"),
    "FETCH": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX"), b"c FETCH 1 BODY[]\r\nd LOGOUT\r\n"),
}


@pytest.fixture
def torn_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is opened breaks off."""
    open_one, open_all = MemoryMailStore.open, MemoryMailStore.open_all

    async def torn(*args: Any) -> Any:
        return TornMessage(await open_one(*args))

    async def all_torn(*args: Any) -> Any:
        return [None if raw is None else TornMessage(raw) for raw in await open_all(*args)]

    monkeypatch.setattr(MemoryMailStore, "open", torn)
    monkeypatch.setattr(MemoryMailStore, "open_all", all_torn)


@pytest.mark.usefixtures("torn_messages")
@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
async def test_what_a_broken_reply_leaves_behind_is_freed(
    alive: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        await house.store.deliver(Delivery(BIG, (Destination(await account_of(house)),)))
        client = await say(house, case, stack)
        with capture_logs() as log:  # structlog's own rendering would look into frames, which makes cycles of them
            await client.rest()
        log.clear()
        await until_freed(alive)


async def test_a_client_that_does_not_read_a_long_reply_leaves_nothing_behind(
    alive: list[weakref.ref[Any]], certificates: Path
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        await house.store.deliver(Delivery(BIG * 60, (Destination(await account_of(house)),)))
        client = await say(house, Case("pop3", POP3_LOGIN), stack)
        client.pause()
        await client.send(b"RETR 1\r\n")
        async with smtp(house.mx) as other:
            assert (await other.ask("NOOP")).startswith(b"250")
        client.abort()
        await until_freed(alive)
