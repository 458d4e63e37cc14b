"""Clients that stop in the middle or are too slow, and octets that are not TLS where TLS is required."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from relate_wire.limits import Limits
from tests.integration.trouble.clients import Client, begin_data, connected, pop3, smtp
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_in_memory

SHORT_TIMEOUTS = Limits(session_timeout=0.4, handshake_timeout=0.4)
IDLE = b"421 4.4.2 localhost Idle for too long, closing\r\n"
IMAP_IDLE = b"* BYE Idle for too long\r\n"

LOGIN = f"a LOGIN {NEIGHBOUR} {KEY}"
ENVELOPE = ["EHLO client.example.org", "MAIL FROM:<ann@example.org>", f"RCPT TO:<{NEIGHBOUR}>"]

# The listener, commands, the incomplete octets that follow them, and the server's last octets before it closes.
STOPPED = {
    "greeted": ("mx", [], b"", IDLE),
    "half a command": ("mx", [], b"EHL", IDLE),
    "half a response": ("submission", [ENVELOPE[0], "AUTH PLAIN"], b"AGFu", IDLE),
    "half a content": ("mx", [*ENVELOPE, "DATA"], b"Subject: half\r\n\r\nof", IDLE),
    "half the final dot": ("mx", [*ENVELOPE, "DATA"], b"Subject: almost\r\n\r\n.\r", IDLE),
    "half a chunk": ("mx", ENVELOPE, b"BDAT 100 LAST\r\nhalf", IDLE),
    "half a chunk out of place": ("mx", ENVELOPE[:1], b"BDAT 100 LAST\r\nhalf", b"503 5.5.1 MAIL first\r\n" + IDLE),
    "no handshake": ("submission", [ENVELOPE[0], "STARTTLS"], b"", b""),
    "half a handshake": ("submissions", None, b"\x16\x03\x01\x02\x00\x01", b""),
    "POP3 greeted": ("pop3", [], b"", b""),
    "half a POP3 command": ("pop3", [], b"USER ann", b""),
    "half a POP3 response": ("pop3", ["AUTH PLAIN"], b"AGFu", b""),
    "no POP3 handshake": ("pop3", ["STLS"], b"", b""),
    "nothing at all for TLS": ("pop3s", None, b"", b""),
    "IMAP greeted": ("imap", [], b"", IMAP_IDLE),
    "half an IMAP command": ("imap", [], b"a NOO", IMAP_IDLE),
    "no literal": ("imap", [LOGIN, "b APPEND INBOX {100}"], b"", IMAP_IDLE),
    "half a literal": ("imap", [LOGIN, "b APPEND INBOX {100}"], b"Subject: half", IMAP_IDLE),
    "half a literal that is too large": ("imap", [LOGIN], b"b APPEND INBOX {10000000000+}\r\nhalf", IMAP_IDLE),
    "a literal and no more": ("imap", [LOGIN, "b SELECT {5}"], b"INBOX", IMAP_IDLE),
    "half an IMAP response": ("imap", ["a AUTHENTICATE PLAIN"], b"AGFu", IMAP_IDLE),
    "no DONE": ("imap", [LOGIN, "b IDLE"], b"", IMAP_IDLE),
    "half of DONE": ("imap", [LOGIN, "b IDLE"], b"DON", IMAP_IDLE),
    "no IMAP handshake": ("imap", ["a STARTTLS"], b"", b""),
    "half an IMAP handshake": ("imaps", None, b"\x16\x03\x01\x02\x00\x01", b""),
}


@pytest.fixture
async def impatient_servers(certificates: Path) -> AsyncIterator[MailServers]:
    async with serve_in_memory(certificates, SHORT_TIMEOUTS) as servers:
        yield servers


async def test_a_client_that_stops_in_the_middle_is_disconnected(impatient_servers: MailServers) -> None:
    last_replies = await asyncio.gather(*(stop_in_the_middle(impatient_servers, *row[:3]) for row in STOPPED.values()))
    assert dict(zip(STOPPED, last_replies, strict=True)) == {name: row[3] for name, row in STOPPED.items()}
    await impatient_servers.serve_neighbour()


async def stop_in_the_middle(servers: MailServers, listener: str, before: list[str] | None, half: bytes) -> bytes:
    """Return all octets after the incomplete ones. `before` is None for TLS listeners, which send no greeting."""
    async with connected(getattr(servers, listener)) as client:
        if before is not None:
            await client.reply()
            await client.ask_all(before)
        await client.send(half)
        return await client.rest()


async def test_an_idle_pop3_session_releases_its_maildrop(impatient_servers: MailServers) -> None:
    async with pop3(impatient_servers.pop3, NEIGHBOUR, KEY) as client:
        assert await client.rest() == b""
        await impatient_servers.serve_neighbour()


async def test_a_client_that_sends_a_message_too_slowly_is_disconnected(impatient_servers: MailServers) -> None:
    async with smtp(impatient_servers.mx) as client:
        assert (await begin_data(client, NEIGHBOUR)).startswith(b"354")
        sending = asyncio.create_task(send_slowly(client))
        try:
            assert await client.line() == IDLE
        finally:
            sending.cancel()
        await impatient_servers.serve_neighbour()


async def send_slowly(client: Client) -> None:
    while True:
        client.writer.write(b"x\r\n")
        await asyncio.sleep(0.02)


async def test_a_client_that_makes_progress_is_not_timed_out(certificates: Path) -> None:
    async with serve_in_memory(certificates, Limits(session_timeout=2)) as servers, smtp(servers.mx) as client:
        await begin_data(client, NEIGHBOUR)
        for _ in range(6):
            await client.send(b"x" * 4_096 + b"\r\n")
            await asyncio.sleep(0.5)
        await client.send(b".\r\n")
        assert (await client.reply()).startswith(b"250")


# --- octets that are not TLS

NO_TLS = {
    "commands": b"EHLO client.example.org\r\nQUIT\r\n",
    "noise": Random(3).randbytes(1_000_000),
    "records of nothing": b"\x16\x03\x01\x00\x00" * 10_000,
    "alerts": b"\x15\x03\x01\x00\x02\x01\x00" * 10_000,
    "an endless record": b"\x16\x03\x01\xff\xff" + b"\0" * 1_000_000,
}
UPGRADES = {
    "submission": ["EHLO client.example.org", "STARTTLS"],
    "mx": ["EHLO client.example.org", "STARTTLS"],
    "submissions": None,
    "pop3": ["STLS"],
    "pop3s": None,
    "imap": ["a STARTTLS"],
    "imaps": None,
}


@pytest.mark.parametrize("listener", UPGRADES)
@pytest.mark.parametrize("octets", NO_TLS.values(), ids=NO_TLS.keys())
async def test_octets_that_are_not_tls_get_no_plaintext_reply(
    servers: MailServers, listener: str, octets: bytes
) -> None:
    async with connected(getattr(servers, listener)) as client:
        if (commands := UPGRADES[listener]) is not None:
            await client.reply()
            await client.ask_all(commands)
        client.writer.write(octets)
        answer = await client.rest()
    assert answer == b"" or answer[:1] == b"\x15", answer  # at most a TLS alert (RFC 8446 §6)
    await servers.serve_neighbour()


@pytest.mark.parametrize("listener", ["submissions", "pop3s", "imaps"])
async def test_an_old_tls_version_is_refused(servers: MailServers, listener: str) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with connected(getattr(servers, listener), old):
            pass
    await servers.serve_neighbour()
