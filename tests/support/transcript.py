r"""Conversations as text files, replayed against an engine in memory.

    # What the RFC's example is about.
    user: mrose@example.org tanstaaf      what is given comes first: `name: value`, understood by the caller
    message: INBOX
    | Subject: the lines of a block
    |
    | .each becomes one line, ended by CRLF
    S: +OK «.*» ready                     the server says; between « and » stands a regular expression
    C: STAT                               the client says; several C: lines in a row go out in one piece
    S: +OK 1 «\d+»
    C: NOOP«00»                           between « and » stand octets in hexadecimal, «41*300» is 300 of them
    S: * OK [UIDNEXT «(?P<next>\d+)»]     what a named group has matched …
    C: a FETCH «$next» FLAGS              … the client may say
    S: -ERR «.*»
    C2: NOOP                              a second connection, opened where it is first mentioned
    S- closes                             what is no line of text: see EVENTS

Every line that the server says must be there: what is left unread before the client speaks again, or at the end, is
an error. A failure names the file and the line.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from relate_wire.ports import Farewell
from tests.support.scripted import Connection

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"

_STEP = re.compile(r"(?P<who>[CS])(?P<connection>\d*)(?P<kind>[:-]) ?(?P<text>.*)")
_GIVEN = re.compile(r"(?P<name>[\w-]+): ?(?P<value>.*)")
_INSERT = re.compile("«(.*?)»")

AnyConnection = Connection[Any, Any]


class Given(NamedTuple):
    """One thing that is so before the conversation begins."""

    name: str
    value: str
    block: bytes


class Step(NamedTuple):
    """One line of the conversation. `connection` is "" or a number."""

    where: str
    who: str
    connection: str
    is_event: bool
    text: str

    @property
    def event(self) -> str:
        """Its name in EVENTS."""
        return f"{self.who}- {self.text}"

    def __str__(self) -> str:
        return f"{self.who}{self.connection}{'-' if self.is_event else ':'} {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Transcript:
    """One file, read."""

    given: tuple[Given, ...]
    steps: tuple[Step, ...]


def transcripts(protocol: str) -> list[Any]:
    """The files of one protocol, as parameters of a test."""
    return [pytest.param(path, id=path.stem) for path in sorted((TRANSCRIPTS / protocol).glob("*.txt"))]


def parse_transcript(path: Path) -> Transcript:
    """Read a file. Raises ValueError naming a line that is nothing of the above."""
    given: list[Given] = []
    steps: list[Step] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path.parent.name}/{path.name}:{number}"
        if not line or line.startswith("#"):
            continue
        if step := _STEP.fullmatch(line):
            steps.append(Step(where, step["who"], step["connection"], step["kind"] == "-", step["text"]))
            if steps[-1].is_event and steps[-1].event not in EVENTS:
                raise ValueError(f"{where}: no such event, there are: {', '.join(EVENTS)}")
        elif line.startswith("|") and given and not steps:
            given[-1] = given[-1]._replace(block=given[-1].block + line[1:].removeprefix(" ").encode() + b"\r\n")
        elif (fact := _GIVEN.fullmatch(line)) and not steps:
            given.append(Given(fact["name"], fact["value"], b""))
        else:
            raise ValueError(f"{where}: neither said nor given: {line}")
    return Transcript(tuple(given), tuple(steps))


async def replay(transcript: Transcript, connect: Callable[[], AnyConnection]) -> None:
    """Hold the conversation; `connect` opens a new connection. Raises AssertionError naming the line at fault."""
    __tracebackhide__ = True
    player = _Player(connect)
    for step in transcript.steps:
        try:
            await player.play(step)
            if step is transcript.steps[-1]:
                await player.finish()
        except (AssertionError, TimeoutError) as failure:
            why = str(failure) or "the server says nothing"
            raise AssertionError(f"{step.where}: {step}\n    but {why}") from player.error(step)


class _Player:
    """Who speaks the lines of a transcript, and listens."""

    def __init__(self, connect: Callable[[], AnyConnection]) -> None:
        self._connect = connect
        self._connections: dict[str, AnyConnection] = {}
        self._unsent: dict[str, bytes] = {}
        self._heard: dict[str, bytes] = {}

    async def play(self, step: Step) -> None:
        """One line."""
        connection = self._connections.get(step.connection) or self._open(step.connection)
        if step.who == "C" and not step.is_event:
            await expect_silence(connection)
            self._unsent[step.connection] = self._unsent.get(step.connection, b"") + encode_line(step.text, self._heard)
            return
        await self._send()
        if step.is_event:
            await EVENTS[step.event](connection)
        else:
            said = await connection.read_line()
            match = compile_pattern(step.text).fullmatch(said)
            assert match, f"the server said: {show(said)}"
            self._heard |= match.groupdict()

    async def finish(self) -> None:
        """All is said."""
        await self._send()
        for connection in self._connections.values():
            await expect_silence(connection)

    def error(self, step: Step) -> Exception | None:
        """What the session raised last: why a step failed, more often than not."""
        errors = self._connections[step.connection].errors
        return errors[-1] if errors else None

    def _open(self, name: str) -> AnyConnection:
        self._connections[name] = self._connect()
        return self._connections[name]

    async def _send(self) -> None:
        for name, octets in self._unsent.items():
            await self._connections[name].send(octets)
        self._unsent.clear()


async def expect_silence(connection: AnyConnection) -> None:
    """The server has said all that it has to say, and all of it was read."""
    await connection.settle()
    said = connection.take()
    assert not said, f"nobody expected what the server said: {show(said)}"


async def _expect_closed(connection: AnyConnection) -> None:
    await connection.settle()
    assert connection.closed, "it waits for more"


async def _expect_tls(connection: AnyConnection) -> None:
    await connection.settle()
    assert connection.handshakes == 1, "it did not"


EVENTS: dict[str, Callable[[AnyConnection], Awaitable[None]]] = {
    "C- vanishes": Connection.vanish,
    "S- closes": _expect_closed,
    "S- starts TLS": _expect_tls,
    "S- times out": lambda connection: connection.interrupt(Farewell.IDLE),
    "S- shuts down": lambda connection: connection.interrupt(Farewell.SHUTDOWN),
    "S- revokes": lambda connection: connection.interrupt(Farewell.REVOKED),
}
"""What happens beside the lines: done by the client or to the server, or expected of it."""


def encode_line(text: str, heard: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """A line of the client's as octets, with CRLF. `heard` is what named groups have matched."""
    return b"".join(_octets(piece, heard) if odd else piece.encode() for odd, piece in _pieces(text)) + b"\r\n"


def compile_pattern(text: str) -> re.Pattern[bytes]:
    """What the server's whole line, with CRLF, has to match."""
    pattern = "".join(piece if odd else re.escape(piece) for odd, piece in _pieces(text))
    return re.compile(pattern.encode() + rb"\r\n")


def show(octets: bytes) -> str:
    """Octets for a failure's message."""
    return repr(octets)[1:] if octets else "nothing more"


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The text cut at « and »; True with what was between."""
    return ((index % 2 == 1, piece) for index, piece in enumerate(_INSERT.split(text)))


def _octets(insert: str, heard: Mapping[str, bytes]) -> bytes:
    if insert.startswith("$"):
        return heard[insert[1:]]
    octets, _, times = insert.partition("*")
    return bytes.fromhex(octets) * int(times or 1)
