"""However a connection ends, reference counting frees its driver, session, framer and content without the GC."""

import asyncio
import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from relate_mailstore.types import AccountId, Delivery, Destination
from relate_wire import driver, proxy, server
from relate_wire.limits import Limits
from tests.integration.trouble.clients import STRANGER, Client, connected, smtp
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_in_memory

TIMEOUT_SECONDS = 3.0
SHORT_TIMEOUTS = Limits(session_timeout=0.3, handshake_timeout=0.3)
PROXIED = Limits(session_timeout=0.3, handshake_timeout=0.3, trusted_proxies=(ip_network("127.0.0.0/8"),))

HELLO = ("EHLO client.example.org", f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{NEIGHBOUR}>")
BINARY = ("EHLO client.example.org", f"MAIL FROM:<{STRANGER}> BODY=BINARYMIME", f"RCPT TO:<{NEIGHBOUR}>")
POP3_LOGIN = (f"USER {NEIGHBOUR}", f"PASS {KEY}")
IMAP_LOGIN = (f"a LOGIN {NEIGHBOUR} {KEY}",)
HALF = b"Subject: half\r\n\r\n" + b"x" * 100_000
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 5_000


class Case(NamedTuple):
    """The input of one client: commands whose replies it awaits, then octets, on one of the listeners."""

    listener: str
    commands: Sequence[str]
    octets: bytes = b""
    limits: Limits = Limits()


# The client resets the connection.
ENDED_BY_CLIENT = {
    "greeted": Case("mx", ()),
    "DATA": Case("mx", (*HELLO, "DATA"), HALF),
    "BDAT, within a chunk": Case("mx", HELLO, b"BDAT 200000\r\n" + HALF),
    "BDAT, after a chunk": Case("mx", BINARY, b"BDAT %d\r\n" % len(HALF) + HALF),
    "BDAT that is discarded": Case("mx", HELLO[:1], b"BDAT 200000\r\n" + HALF),
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

# The server closes the connection.
ENDED_BY_SERVER = {
    "QUIT": Case("mx", (*HELLO, "DATA"), b"Subject: x\r\n\r\n.\r\nQUIT\r\n"),
    "DATA refused": Case("mx", (*HELLO, "DATA"), b"bare\nLF\r\n.\r\nQUIT\r\n"),
    "too many refusals": Case("mx", HELLO[:2], b"RCPT TO:<x>\r\n" * 9 + b"BDAT 200000\r\n" + HALF, SHORT_TIMEOUTS),
    "a malformed BDAT": Case("mx", HELLO, b"BDAT x\r\n"),
    "SASL cancelled": Case("submission", (HELLO[0], "AUTH PLAIN"), b"*\r\nAUTH PLAIN =\r\nAUTH X\r\nQUIT\r\n"),
    "APPEND refused": Case("imap", IMAP_LOGIN, b"b APPEND nowhere {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "APPEND too large": Case("imap", ("a NOOP",), b"b APPEND x {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "APPEND": Case("imap", IMAP_LOGIN, b"b APPEND INBOX {%d+}\r\n%b\r\nc LOGOUT\r\n" % (len(HALF), HALF)),
    "IDLE ended": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"DONE\r\nd LOGOUT\r\n"),
    "IDLE ended otherwise": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"x\r\nd LOGOUT\r\n"),
    "IMAP SASL cancelled": Case("imap", ("a AUTHENTICATE PLAIN",), b"*\r\nb LOGOUT\r\n"),
    "POP3 QUIT": Case("pop3", POP3_LOGIN, b"LIST\r\nRETR 1\r\nQUIT\r\n"),
    "POP3 refused": Case("pop3", ("USER x", "PASS y"), b"PASS\r\nNOPE\r\nQUIT\r\n"),
    "POP3 SASL cancelled": Case("pop3", ("AUTH PLAIN",), b"*\r\nQUIT\r\n"),
    "DATA, timeout": Case("mx", (*HELLO, "DATA"), HALF, SHORT_TIMEOUTS),
    "BDAT, timeout": Case("mx", HELLO, b"BDAT 200000\r\n" + HALF, SHORT_TIMEOUTS),
    "APPEND, timeout": Case("imap", (*IMAP_LOGIN, "b APPEND INBOX {200000}"), HALF, SHORT_TIMEOUTS),
    "IDLE, timeout": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX", "c IDLE"), b"", SHORT_TIMEOUTS),
    "POP3, timeout": Case("pop3", POP3_LOGIN, b"RET", SHORT_TIMEOUTS),
    "no TLS": Case("submissions", (), b"EHLO not.tls\r\n" * 100),
    "no TLS after STARTTLS": Case("mx", (HELLO[0], "STARTTLS"), b"EHLO not.tls\r\n" * 100),
    "no TLS after STLS": Case("pop3", ("STLS",), b"USER ann\r\n" * 100),
    "no TLS after IMAP's STARTTLS": Case("imap", ("a STARTTLS",), b"b NOOP\r\n" * 100),
    "no handshake": Case("imaps", (), b"", SHORT_TIMEOUTS),
    "no handshake after STARTTLS": Case("mx", (HELLO[0], "STARTTLS"), b"", SHORT_TIMEOUTS),
    "no preamble": Case("mx", (), b"EHLO without.a.preamble\r\n", PROXIED),
    "no TLS after a preamble": Case(
        "submissions", (), proxy.encode(("192.0.2.7", 1), ("192.0.2.1", 2)) + b"EHLO not.tls\r\n", PROXIED
    ),
}

# The server shuts down.
ENDED_BY_SHUTDOWN = {
    name: ENDED_BY_CLIENT[name]
    for name in ("greeted", "DATA", "BDAT, after a chunk", "APPEND", "MULTIAPPEND", "IDLE", "AUTH")
} | {"half a handshake": ENDED_BY_CLIENT["half a handshake"], "POP3": Case("pop3", POP3_LOGIN)}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Any]]]:
    """Weak references to all objects of connections; the garbage collector is off."""
    parts: list[weakref.ref[Any]] = []

    class WatchedDriver(driver.Driver[Any, Any]):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            content = self._content
            engine = self._engine
            own = (self, self.connection, engine, engine.session, engine.framer, content, content._buffer)
            parts.extend(map(weakref.ref, own))

    monkeypatch.setattr(server, "Driver", WatchedDriver)
    gc.disable()
    try:
        yield parts
    finally:
        gc.enable()


async def until_freed(parts: list[weakref.ref[Any]]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while any(part() is not None for part in parts):
                await asyncio.sleep(0)
    assert [type(part()).__name__ for part in parts if part() is not None] == []


async def open_client(house: MailServers, case: Case, stack: AsyncExitStack) -> Client:
    """A client that has sent its input, after the greeting and all replies unless the listener starts with TLS."""
    client = await stack.enter_async_context(connected(getattr(house, case.listener)))
    if case.listener in ("mx", "submission", "pop3", "imap") and not case.limits.trusted_proxies:
        await client.reply()
        await client.ask_all(case.commands)
    await client.send(case.octets)
    return client


@pytest.mark.parametrize("case", ENDED_BY_CLIENT.values(), ids=ENDED_BY_CLIENT.keys())
async def test_a_connection_that_the_client_ends_is_freed(
    parts: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        client = await open_client(house, case, stack)
        assert parts
        if case.octets and not case.octets.startswith(b"\x16"):
            await until_read(parts, case)
        client.abort()
        await until_freed(parts)


async def until_read(parts: list[weakref.ref[Any]], case: Case) -> None:
    """Wait until the octets have arrived, so that there is content to free."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not any(isinstance(part(), driver.Driver) and has_read(part(), len(case.octets)) for part in parts):
            await asyncio.sleep(0)


def has_read(part: Any, octets: int) -> bool:
    return bool(part.connection.received >= octets)


@pytest.mark.parametrize("case", ENDED_BY_SERVER.values(), ids=ENDED_BY_SERVER.keys())
async def test_a_connection_that_the_server_ends_is_freed(
    parts: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with serve_in_memory(certificates, case.limits) as house, AsyncExitStack() as stack:
        client = await open_client(house, case, stack)
        await client.rest()
        await until_freed(parts)
    assert parts or case is ENDED_BY_SERVER["no preamble"]


@pytest.mark.parametrize("case", ENDED_BY_SHUTDOWN.values(), ids=ENDED_BY_SHUTDOWN.keys())
async def test_a_connection_that_a_shutdown_ends_is_freed(
    parts: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with AsyncExitStack() as stack:
        async with serve_in_memory(certificates) as house:
            await open_client(house, case, stack)
        assert parts
        await until_freed(parts)


# --- truncated replies


async def account_of(house: MailServers) -> AccountId:
    return AccountId((await house.accounts.user_by_address(NEIGHBOUR)).id)


TRUNCATED = {
    "RETR": Case("pop3", POP3_LOGIN, b"RETR 1\r\nQUIT\r\n"),
    "TOP": Case("pop3", POP3_LOGIN, b"TOP 1 9999\r\nQUIT\r\n"),
    "FETCH": Case("imap", (*IMAP_LOGIN, "b SELECT INBOX"), b"c FETCH 1 BODY[]\r\nd LOGOUT\r\n"),
}


@pytest.mark.usefixtures("truncated_messages")
@pytest.mark.parametrize("case", TRUNCATED.values(), ids=TRUNCATED.keys())
async def test_a_connection_with_a_truncated_reply_is_freed(
    parts: list[weakref.ref[Any]], certificates: Path, case: Case
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        await house.store.deliver(Delivery(BIG, (Destination(await account_of(house)),)))
        client = await open_client(house, case, stack)
        with capture_logs() as log:  # structlog's rendering accesses frames, which creates reference cycles
            await client.rest()
        log.clear()
        await until_freed(parts)


async def test_a_connection_whose_client_does_not_read_a_long_reply_is_freed(
    parts: list[weakref.ref[Any]], certificates: Path
) -> None:
    async with serve_in_memory(certificates) as house, AsyncExitStack() as stack:
        await house.store.deliver(Delivery(BIG * 60, (Destination(await account_of(house)),)))
        client = await open_client(house, Case("pop3", POP3_LOGIN), stack)
        client.pause()
        await client.send(b"RETR 1\r\n")
        async with smtp(house.mx) as other:
            assert (await other.ask("NOOP")).startswith(b"250")
        client.abort()
        await until_freed(parts)
