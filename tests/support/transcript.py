r"""Transcripts of protocol sessions as text files, replayed against an engine in memory.

    # A comment.
    user: mrose@example.org tanstaaf      the precondition, `name: value`, which the caller interprets
    message: INBOX
    | Subject: the lines of a block
    |
    | .each becomes one line with CRLF
    S: +OK «.*» ready                     a line of the server; «…» is a regular expression
    C: STAT                               a line of the client; consecutive C: lines are sent in one piece
    S: +OK 1 «\d+»
    C: NOOP«00»                           in lines of the client «…» is hexadecimal octets, «41*300» is 300 of them
    S: * OK [UIDNEXT «(?P<next>\d+)»]     a named group …
    C: a FETCH «$next» FLAGS              … can be inserted into lines of the client
    S: -ERR «.*»
    C2: NOOP                              a second connection, opened at its first line
    S- closes                             an event: see EVENTS

The transcript must contain every line of the server: unread output before the next line of the client, or at the end,
is a failure. Failures name the file and the line.
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
    """One precondition of a transcript."""

    name: str
    value: str
    block: bytes


class Step(NamedTuple):
    """One line or event of a transcript. `connection` is "" or a number."""

    where: str
    who: str
    connection: str
    is_event: bool
    text: str

    @property
    def event(self) -> str:
        """The key in EVENTS."""
        return f"{self.who}- {self.text}"

    def __str__(self) -> str:
        return f"{self.who}{self.connection}{'-' if self.is_event else ':'} {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Transcript:
    """One parsed file."""

    given: tuple[Given, ...]
    steps: tuple[Step, ...]


def transcripts(protocol: str) -> list[Any]:
    """Return the files of one protocol as pytest parameters."""
    return [pytest.param(path, id=path.stem) for path in sorted((TRANSCRIPTS / protocol).glob("*.txt"))]


def parse_transcript(path: Path) -> Transcript:
    """Parse a file. Raises ValueError naming the malformed line."""
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
        elif (match := _GIVEN.fullmatch(line)) and not steps:
            given.append(Given(match["name"], match["value"], b""))
        else:
            raise ValueError(f"{where}: neither said nor given: {line}")
    return Transcript(tuple(given), tuple(steps))


async def replay(transcript: Transcript, connect: Callable[[], AnyConnection]) -> None:
    """Replay a transcript; `connect` opens a new connection. Raises AssertionError naming the failed line."""
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
    """Sends the client's lines and events, and checks the server's lines."""

    def __init__(self, connect: Callable[[], AnyConnection]) -> None:
        self._connect = connect
        self._connections: dict[str, AnyConnection] = {}
        self._unsent: dict[str, bytes] = {}
        self._groups: dict[str, bytes] = {}

    async def play(self, step: Step) -> None:
        """Play one step."""
        connection = self._connections.get(step.connection) or self._open(step.connection)
        if step.who == "C" and not step.is_event:
            await expect_no_output(connection)
            line = encode_line(step.text, self._groups)
            self._unsent[step.connection] = self._unsent.get(step.connection, b"") + line
            return
        await self._send()
        if step.is_event:
            await EVENTS[step.event](connection)
        else:
            line = await connection.read_line()
            match = compile_pattern(step.text).fullmatch(line)
            assert match, f"the server said: {show(line)}"
            self._groups |= match.groupdict()

    async def finish(self) -> None:
        """Send pending lines, and check that no output is left."""
        await self._send()
        for connection in self._connections.values():
            await expect_no_output(connection)

    def error(self, step: Step) -> Exception | None:
        """Return the session's last exception, which is usually the cause of a failed step."""
        errors = self._connections[step.connection].errors
        return errors[-1] if errors else None

    def _open(self, name: str) -> AnyConnection:
        self._connections[name] = self._connect()
        return self._connections[name]

    async def _send(self) -> None:
        for name, octets in self._unsent.items():
            await self._connections[name].send(octets)
        self._unsent.clear()


async def expect_no_output(connection: AnyConnection) -> None:
    """Wait until the server waits for input, and check that all of its output was read."""
    await connection.settle()
    output = connection.take()
    assert not output, f"unexpected output of the server: {show(output)}"


async def _expect_closed(connection: AnyConnection) -> None:
    await connection.settle()
    assert connection.closed, "it waits for more"


async def _expect_tls(connection: AnyConnection) -> None:
    await connection.settle()
    assert connection.handshakes == 1, "it did not"


EVENTS: dict[str, Callable[[AnyConnection], Awaitable[None]]] = {
    "C- vanishes": Connection.disconnect,
    "S- closes": _expect_closed,
    "S- starts TLS": _expect_tls,
    "S- times out": lambda connection: connection.interrupt(Farewell.IDLE),
    "S- shuts down": lambda connection: connection.interrupt(Farewell.SHUTDOWN),
    "S- revokes": lambda connection: connection.interrupt(Farewell.REVOKED),
}
"""Events: actions of the client, actions on the server, and expectations of the server."""


def encode_line(text: str, groups: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """Encode a line of the client, with CRLF. `groups` are the matches of named groups."""
    return b"".join(_octets(piece, groups) if odd else piece.encode() for odd, piece in _pieces(text)) + b"\r\n"


def compile_pattern(text: str) -> re.Pattern[bytes]:
    """Compile the pattern for a complete line of the server, with CRLF."""
    pattern = "".join(piece if odd else re.escape(piece) for odd, piece in _pieces(text))
    return re.compile(pattern.encode() + rb"\r\n")


def show(octets: bytes) -> str:
    """Format octets for a failure message."""
    return repr(octets)[1:] if octets else "nothing more"


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Split the text at « and »; yields True with the parts in between."""
    return ((index % 2 == 1, piece) for index, piece in enumerate(_INSERT.split(text)))


def _octets(insert: str, groups: Mapping[str, bytes]) -> bytes:
    if insert.startswith("$"):
        return groups[insert[1:]]
    octets, _, times = insert.partition("*")
    return bytes.fromhex(octets) * int(times or 1)
