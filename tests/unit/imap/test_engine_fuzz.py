"""Random input is answered or refused with parseable responses, and causes no internal error."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.imap.corpus import MESSAGES
from tests.integration.imap.dovecot_dialogues import read_dialogues
from tests.support.examples import examples
from tests.support.imap.engine import KEY, EngineClient, context_of
from tests.support.imap.responses import ResponseReader
from tests.support.memory_backend import MemoryBackend

USER = "fuzz@example.test"
BEGINNINGS = {
    "greeted": [],
    "logged in": [f"LOGIN {USER} {KEY}"],
    "selected": [f"LOGIN {USER} {KEY}", "SELECT INBOX"],
    "resynchronized": [f"LOGIN {USER} {KEY}", "ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2", "SELECT INBOX (CONDSTORE)"],
    "idling": [f"LOGIN {USER} {KEY}", "SELECT INBOX", "IDLE"],
    "authenticating": ["AUTHENTICATE PLAIN"],
    "in a literal": [f"LOGIN {USER} {KEY}", "SELECT INBOX", "APPEND INBOX {100}"],
}

COMMANDS = sorted({command for dialogue in read_dialogues() for _, command in dialogue.steps if "«" not in command})
PIECES = [
    *(
        b" ",
        b"(",
        b")",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"*",
        b"%",
        b"<",
        b">",
        b":",
        b",",
        b".",
        b"$",
        b"&",
        b"+",
    ),
    *(b"\0", b"\r", b"\n", b"\r\n", b"\x7f", b"\x80", b"\xff", b"{3}\r\nabc", b"{3+}\r\nabc", b"~{3+}\r\n\0\xff\r"),
    *(b"0", b"1", b"4294967295", b"4294967296", b"18446744073709551616", b"-1", b"1:*", b"$", b"NIL", b"INBOX"),
    *(
        b"UID",
        b"NOT",
        b"OR",
        b"BODY[",
        b"HEADER.FIELDS",
        b"RETURN (",
        b"CHARSET",
        b"UTF8 (~{2+}\r\nab)",
        b"PARTIAL 1:2",
    ),
]

raw = st.binary(max_size=200)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A command of the dialogues with parts removed, doubled or replaced."""
    octets = draw(st.sampled_from(COMMANDS)).encode("utf-8", "surrogateescape")
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(octets)))
        stop = min(len(octets), start + draw(st.integers(0, 6)))
        octets = octets[:start] + draw(st.sampled_from(PIECES) | raw) + octets[stop:]
    return b"x " + octets + draw(st.sampled_from([b"\r\n", b"\n", b"", b"\r"]))


inputs = st.lists(mutated() | raw, min_size=1, max_size=20)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(octet_inputs=inputs)
def test_any_input_is_answered_or_refused(
    runner: asyncio.Runner, beginning: list[str], octet_inputs: list[bytes]
) -> None:
    runner.run(run_inputs(beginning, octet_inputs))


async def run_inputs(beginning: list[str], octet_inputs: list[bytes]) -> None:
    backend = MemoryBackend()
    await backend.add_user(USER, KEY)
    for name in ("plain", "report", "forward", "bare"):
        await backend.add_message(MESSAGES[name])
    client, reader = EngineClient(context_of(backend)), ResponseReader()
    await client.connection.settle()
    for octets in [*(f"a {command}\r\n".encode() for command in beginning), *octet_inputs]:
        if client.connection.closed:
            break
        await client.connection.send(octets)
        list(reader.feed(client.connection.take()))
    assert client.connection.errors == []
    if not client.connection.closed:
        await client.connection.disconnect()
    assert not reader.rest


@pytest.mark.parametrize("beginning", ["logged in", "selected", "resynchronized"])
async def test_every_dialogue_command_is_answered(beginning: str) -> None:
    for start in range(0, len(COMMANDS), 100):
        octet_inputs = [
            f"x {command}\r\n".encode("utf-8", "surrogateescape") for command in COMMANDS[start : start + 100]
        ]
        await run_inputs(
            BEGINNINGS[beginning],
            [octets for octets in octet_inputs if octets[2:8].upper() not in (b"LOGOUT", b"COMPRE")],
        )


async def test_session_survives_nonsense() -> None:
    backend = MemoryBackend()
    await backend.add_user(USER, KEY)
    client = EngineClient(context_of(backend))
    await client.log_in(USER)
    for piece in PIECES:
        if b"{" not in piece and b"\n" not in piece and b"\r" not in piece:
            await client.connection.send(b"x " + piece + b"\r\n")
            assert client.take_received()[-1].kind == "BAD"
    assert (await client.ask("NOOP")).status == "OK"
