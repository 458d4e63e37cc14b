"""Clients that make no sense, or go on for ever: what they are told, and that nobody else notices."""

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

# Never that we are in trouble, and never anything that would count as success.
REFUSALS = (b"500 ", b"501 ", b"502 ", b"503 ", b"421 4.7.0 ", b"-ERR ")
GOODBYES = (b"221 ", b"+OK POP3 server localhost signing off", b"* BYE ", b"z OK ")
IMAP_REFUSAL = re.compile(rb"[^ ]+ BAD ")  # after any tag that there was
LEAVE = {"imap": "z LOGOUT"}  # all others understand QUIT


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    """Whatever a client sends: it is not kept. What this process holds at the client's end counts, too."""
    with bounded_memory(32 * MEGABYTE):
        yield


@pytest.mark.parametrize("listener", ["submission", "mx", "pop3", "imap"])
@pytest.mark.parametrize("octets", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_is_refused_and_only_refused(servers: MailServers, listener: str, octets: bytes) -> None:
    async with connected(getattr(servers, listener)) as client:
        await client.reply()
        answers = await say_and_hear(client, octets + f"\r\n{LEAVE.get(listener, 'QUIT')}\r\n".encode())
    lines = answers.split(b"\r\n")[:-1]
    assert [line for line in lines if not (line.startswith(REFUSALS + GOODBYES) or IMAP_REFUSAL.match(line))] == []
    await servers.serve_neighbour()


async def say_and_hear(client: Client, octets: bytes) -> bytes:
    """Say it all, as far as the server lets the client, and listen meanwhile, until the server closes."""
    saying = asyncio.create_task(client.send(octets))
    answers = await client.rest()
    with contextlib.suppress(ConnectionError):
        await saying
    return answers


class TooMuch(NamedTuple):
    """`piece` again and again between `begin` and `end`, after some commands."""

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
TOO_MUCH = {
    "command": TooMuch("mx", [EHLO], b"NOOP ", PIECE, LINE_END, b"500 5.5.2"),
    "response": TooMuch("submission", [EHLO, "AUTH PLAIN"], b"", PIECE, LINE_END, b"500 5.5.6"),
    "content": TooMuch("mx", [*ENVELOPE, "DATA"], b"", LINES, b".\r\n", b"552 5.3.4"),
    "content of one line": TooMuch("mx", [*ENVELOPE, "DATA"], b"", PIECE, b"\r\n.\r\n", b"552 5.3.4"),
    "chunk": TooMuch("mx", ENVELOPE, CHUNK, PIECE, b"", b"552 5.3.4"),
    "chunk out of place": TooMuch("mx", [EHLO], CHUNK, PIECE, b"", b"503 5.5.1"),
    "POP3 command": TooMuch("pop3", [], b"USER ", PIECE, LINE_END, b"-ERR Line too long"),
    "IMAP command": TooMuch("imap", [], b"a NOOP ", PIECE, LINE_END, b"a BAD"),
    "IMAP response": TooMuch("imap", ["a AUTHENTICATE PLAIN"], b"", PIECE, LINE_END, b"a BAD"),
    "IMAP literal": TooMuch("imap", [], b"a LOGIN " + LITERAL, PIECE, LINE_END, b"a NO [TOOBIG]"),
    "IMAP message": TooMuch("imap", [LOGIN], b"b APPEND INBOX " + LITERAL, PIECE, LINE_END, b"b NO [TOOBIG]"),
    "POP3 response": TooMuch("pop3", ["AUTH PLAIN"], b"", PIECE, LINE_END, b"-ERR Line too long"),
}


@pytest.mark.parametrize("much", TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_what_is_too_much_is_thrown_away_as_it_comes(certificates: Path, much: TooMuch) -> None:
    async with serve_in_memory(certificates, settings={"max_message_size_bytes": MEGABYTE}) as servers:
        async with connected(getattr(servers, much.listener)) as client:
            await client.reply()
            await client.ask_all(much.before)
            await client.send(much.begin)
            for _ in range(PIECES):
                await client.send(much.piece)
            await client.send(much.end)
            assert (await client.reply()).startswith(much.reply)
            assert (await client.ask(LEAVE.get(much.listener, "QUIT"))).startswith(GOODBYES)
        await servers.serve_neighbour()


async def test_ten_gigabytes_are_refused_when_they_are_announced(servers: MailServers) -> None:
    async with connected(servers.mx) as client:
        await client.reply()
        await client.ask_all(ENVELOPE)
        assert (await client.ask("BDAT 10000000000")).startswith(b"552 5.3.4")
        for _ in range(PIECES):
            await client.send(PIECE)
        await servers.serve_neighbour()


async def test_a_message_in_chunks_of_one_octet_takes_no_more_than_itself(servers: MailServers) -> None:
    message = b"Subject: x\r\n\r\n" + b"y" * 20_000 + b"\r\n"
    async with connected(servers.mx) as client:
        await client.reply()
        await client.ask_all(ENVELOPE)
        await client.send(b"".join(b"BDAT 1\r\n%c" % octet for octet in message) + b"BDAT 0 LAST\r\n")
        replies = await client.replies(len(message) + 1)
    assert {reply[:9] for reply in replies} == {b"250 2.0.0", b"250 2.6.0"}
