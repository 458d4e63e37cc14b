"""Invalid and endless input is refused in bounded memory, and other clients are served."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.integration.trouble.clients import STRANGER, Client, connected
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers, serve_in_memory

NONSENSE = {
    "http": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.9\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + Random(1).randbytes(506),
    "telnet": b"\xff\xf4\xff\xfd\x06" * 1_000,
    "noise": Random(2).randbytes(MEGABYTE),
    "every octet": bytes(range(256)) * 1_000,
    "NULs": b"\0" * MEGABYTE,
    "CRs": b"\r" * MEGABYTE,
    "LFs": b"\n" * 100_000,
    "line ends": b"\r\n" * 100_000,
    "dots": b".\r\n" * 100_000,
    "unknown verbs": b"XYZZY plugh\r\n" * 100_000,
}

# Neither a temporary error nor a success.
REFUSALS = (b"500 ", b"501 ", b"502 ", b"503 ", b"421 4.7.0 ", b"-ERR ")
GOODBYES = (b"221 ", b"+OK POP3 server localhost signing off", b"* BYE ", b"z OK ")
IMAP_REFUSAL = re.compile(rb"[^ ]+ BAD ")  # after any tag
LEAVE = {"imap": "z LOGOUT"}  # the other protocols have QUIT


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    """For any input. The client is in this process, so that its memory counts, too."""
    with bounded_memory(32 * MEGABYTE):
        yield


@pytest.mark.parametrize("listener", ["submission", "mx", "pop3", "imap"])
@pytest.mark.parametrize("octets", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_gets_only_refusals(servers: MailServers, listener: str, octets: bytes) -> None:
    async with connected(getattr(servers, listener)) as client:
        await client.reply()
        answers = await send_and_read(client, octets + f"\r\n{LEAVE.get(listener, 'QUIT')}\r\n".encode())
    lines = answers.split(b"\r\n")[:-1]
    assert [line for line in lines if not (line.startswith(REFUSALS + GOODBYES) or IMAP_REFUSAL.match(line))] == []
    await servers.serve_neighbour()


async def send_and_read(client: Client, octets: bytes) -> bytes:
    """Send the octets, as many as the server accepts, and read until it closes."""
    sending = asyncio.create_task(client.send(octets))
    answers = await client.rest()
    with contextlib.suppress(ConnectionError):
        await sending
    return answers


class Oversized(NamedTuple):
    """After some commands: `begin`, then `piece` PIECES times, then `end`."""

    listener: str
    before: list[str]
    begin: bytes
    piece: bytes
    end: bytes
    reply: bytes


PIECES = 800  # of 64 KB: 50 MB
PIECE = b"x" * 65_536
LINES = (b"x" * 62 + b"\r\n") * 1_024
LINE_END = b"\r\n"
CHUNK = b"BDAT %d LAST\r\n" % (PIECES * len(PIECE))
LITERAL = b"{%d+}\r\n" % (PIECES * len(PIECE))
LOGIN = f"a LOGIN {NEIGHBOUR} {KEY}"
EHLO = "EHLO client.example.org"
ENVELOPE = [EHLO, f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{NEIGHBOUR}>"]
OVERSIZED = {
    "command": Oversized("mx", [EHLO], b"NOOP ", PIECE, LINE_END, b"500 5.5.2"),
    "response": Oversized("submission", [EHLO, "AUTH PLAIN"], b"", PIECE, LINE_END, b"500 5.5.6"),
    "content": Oversized("mx", [*ENVELOPE, "DATA"], b"", LINES, b".\r\n", b"552 5.3.4"),
    "content of one line": Oversized("mx", [*ENVELOPE, "DATA"], b"", PIECE, b"\r\n.\r\n", b"552 5.3.4"),
    "chunk": Oversized("mx", ENVELOPE, CHUNK, PIECE, b"", b"552 5.3.4"),
    "chunk out of place": Oversized("mx", [EHLO], CHUNK, PIECE, b"", b"503 5.5.1"),
    "POP3 command": Oversized("pop3", [], b"USER ", PIECE, LINE_END, b"-ERR Line too long"),
    "IMAP command": Oversized("imap", [], b"a NOOP ", PIECE, LINE_END, b"a BAD"),
    "IMAP response": Oversized("imap", ["a AUTHENTICATE PLAIN"], b"", PIECE, LINE_END, b"a BAD"),
    "IMAP literal": Oversized("imap", [], b"a LOGIN " + LITERAL, PIECE, LINE_END, b"a NO [TOOBIG]"),
    "IMAP message": Oversized("imap", [LOGIN], b"b APPEND INBOX " + LITERAL, PIECE, LINE_END, b"b NO [TOOBIG]"),
    "POP3 response": Oversized("pop3", ["AUTH PLAIN"], b"", PIECE, LINE_END, b"-ERR Line too long"),
}


@pytest.mark.parametrize("case", OVERSIZED.values(), ids=OVERSIZED.keys())
async def test_oversized_input_is_discarded_as_received(certificates: Path, case: Oversized) -> None:
    async with serve_in_memory(certificates, settings={"max_message_size_bytes": MEGABYTE}) as servers:
        async with connected(getattr(servers, case.listener)) as client:
            await client.reply()
            await client.ask_all(case.before)
            await client.send(case.begin)
            for _ in range(PIECES):
                await client.send(case.piece)
            await client.send(case.end)
            assert (await client.reply()).startswith(case.reply)
            assert (await client.ask(LEAVE.get(case.listener, "QUIT"))).startswith(GOODBYES)
        await servers.serve_neighbour()


async def test_a_chunk_of_10_gb_is_refused_when_announced(servers: MailServers) -> None:
    async with connected(servers.mx) as client:
        await client.reply()
        await client.ask_all(ENVELOPE)
        assert (await client.ask("BDAT 10000000000")).startswith(b"552 5.3.4")
        for _ in range(PIECES):
            await client.send(PIECE)
        await servers.serve_neighbour()


async def test_a_message_in_chunks_of_one_octet_takes_bounded_memory(servers: MailServers) -> None:
    message = b"Subject: x\r\n\r\n" + b"y" * 20_000 + b"\r\n"
    async with connected(servers.mx) as client:
        await client.reply()
        await client.ask_all(ENVELOPE)
        await client.send(b"".join(b"BDAT 1\r\n%c" % octet for octet in message) + b"BDAT 0 LAST\r\n")
        replies = await client.replies(len(message) + 1)
    assert {reply[:9] for reply in replies} == {b"250 2.0.0", b"250 2.6.0"}
