"""A scripted SMTP server on a random port of 127.0.0.1, which records what it receives.

    async with Sink({"RCPT": [reply("450 4.2.1 later"), OK]}) as sink:
        ...  # a client sends mail to sink.port
    assert sink.messages[0].content == b"..."

A script maps a verb to its answer: a constant one, a list of which each command takes the next and the last repeats, or
a function of the command's arguments (None stands for the usual answer). Without a script the server accepts all mail.
Beside the verbs, GREETING is the first reply, and CONTENT the reply to the content after DATA.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self

from relate_wire.dots import DotDecoder

# A stuck server fails its test after this time, which is long because the machine may be busy.
TIMEOUT_SECONDS = 60.0
MAX_CONTENT_OCTETS = 1 << 30
READ_OCTETS = 256 * 1024
CAPABILITIES = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING")
WITHOUT_CHUNKING = tuple(keyword for keyword in CAPABILITIES if keyword != "CHUNKING")


class Then(Enum):
    """What the server does after an answer."""

    CONTINUE = auto()
    CLOSE = auto()
    RESET = auto()
    """Close with RST, so that the client's write or read fails."""
    WAIT = auto()
    """Answer nothing more, until the client closes."""


@dataclass(frozen=True)
class Answer:
    """Octets to send: after an event if there is one, and one by one with a pause if `pause_seconds` is not 0."""

    octets: bytes
    then: Then = Then.CONTINUE
    pause_seconds: float = 0.0
    after: asyncio.Event | None = None

    @property
    def accepts(self) -> bool:
        """Whether a client must take it for a success."""
        return self.octets[:1] in (b"2", b"3")


def reply(line: str, then: Then = Then.CONTINUE) -> Answer:
    """Return a reply of one line."""
    return Answer(f"{line}\r\n".encode(), then)


def lines(code: int, count: int, text: str = "line") -> Answer:
    """Return a reply of many lines."""
    return Answer(f"{code}-{text}\r\n".encode() * (count - 1) + f"{code} {text}\r\n".encode())


OK = reply("250 2.0.0 OK")
SILENT = Answer(b"", Then.WAIT)
CLOSE = Answer(b"", Then.CLOSE)
RESET = Answer(b"", Then.RESET)
CLOSING = reply("421 4.3.2 closing", Then.CLOSE)
NONSENSE = Answer(b"\xff\xfe nonsense\r\n")
LONG_LINE = Answer(b"250 " + b"x" * 1_000_000 + b"\r\n")
MANY_LINES = lines(250, 10_000)
INJECTED = Answer(b"220 2.0.0 Ready\r\n250-mx.example\r\n250 AUTH PLAIN\r\n")
"""For STARTTLS: a second reply in plaintext."""
BROKEN_TLS = reply("220 2.0.0 Ready", Then.WAIT)
"""For STARTTLS: there is no handshake."""
NO_TLS = Answer(b"220 2.0.0 Ready\r\n", Then.CLOSE)

Scripted = Answer | Sequence[Answer] | Callable[[str], Answer | None]
Script = Mapping[str, Scripted]


@dataclass
class Recipient:
    """A recipient that the server accepted, with the parameters of RCPT."""

    address: str
    parameters: dict[str, str]


@dataclass
class Message:
    """A message whose content was received; `accepted` tells whether it was answered with 2yz.

    `chunks` are the sizes of the chunks in octets, empty for a message that was sent by DATA. `connection` counts the
    server's connections; `received_at` is in seconds of the monotonic clock.
    """

    sender: str
    parameters: dict[str, str]
    recipients: list[Recipient]
    client_name: str
    tls: bool
    login: str
    content: bytes = b""
    chunks: list[int] = field(default_factory=list)
    accepted: bool = False
    connection: int = 0
    received_at: float = 0.0


class _Ended(Exception):
    """The conversation is over."""


class Sink:
    """The server. `certificate` offers STARTTLS, or with `implicit_tls` is used at once.

    `logins` are the passwords by user; with any, AUTH PLAIN and LOGIN are offered under TLS.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        capabilities: Sequence[str] = CAPABILITIES,
        certificate: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        logins: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.script: dict[str, Scripted] = dict(script or {})
        """May be changed while the server runs."""
        self.capabilities = capabilities
        self.certificate = certificate
        self.implicit_tls = implicit_tls
        self.logins = dict(logins or {})
        self.host = host
        self.port = 0
        self.messages: list[Message] = []
        self.commands: list[str] = []
        """The verbs of all connections, in the order of arrival."""
        self.groups: list[list[str]] = []
        """The verbs that were received together, before the first of them was answered."""
        self.connections = 0
        self.open_connections = 0
        self.most_open_connections = 0
        self.ended: set[int] = set()
        """The connections that the client ended with QUIT."""
        self._used: Counter[str] = Counter()
        self._received: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._arrival = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        context = self.certificate if self.implicit_tls else None
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def received(self, verb: str) -> None:
        """Wait until a command was received for the first time."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self._received[verb].wait()

    async def arrived(self, count: int) -> None:
        """Wait until so many messages were received."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(self.messages) < count:
                self._arrival.clear()
                await self._arrival.wait()

    async def disconnected(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self.open_connections:
                self._idle.clear()
                await self._idle.wait()

    def answer(self, verb: str, arguments: str) -> Answer | None:
        """Return the scripted answer to a command, None for the usual one."""
        scripted = self.script.get(verb)
        if scripted is None or isinstance(scripted, Answer):
            return scripted
        if callable(scripted):
            return scripted(arguments)
        used = self._used[verb]
        self._used[verb] += 1
        return scripted[min(used, len(scripted) - 1)]

    def note(self, verb: str, *, starts_group: bool) -> None:
        """Record a command."""
        self.commands.append(verb)
        if starts_group:
            self.groups.append([])
        self.groups[-1].append(verb)
        self._received[verb].set()

    def note_arrival(self) -> None:
        """Wake who waits for a message."""
        self._arrival.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        self.most_open_connections = max(self.most_open_connections, self.open_connections)
        try:
            await _Conversation(self, reader, writer).run()
        except (_Ended, OSError):
            pass  # scripted, or the client has closed
        finally:
            self._tasks.discard(task)
            self.open_connections -= 1
            self._idle.set()
            writer.close()  # not awaited, because a connection that was lost within a handshake would never be closed


class _Conversation:
    """One connection."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._input = b""
        self._has_waited = True  # for input, since the last command
        self._tls = sink.implicit_tls
        self._login = ""
        self._client_name = ""
        self._number = sink.connections
        self._message: Message | None = None
        self._chunks: list[bytes] = []  # of the message

    async def run(self) -> None:
        await self._send(self._sink.answer("GREETING", "") or reply("220 sink.example ESMTP"))
        while True:
            line = (await self._read_line()).decode("utf-8", "replace")
            verb, _, arguments = line.partition(" ")
            verb = verb.upper()
            self._sink.note(verb, starts_group=self._has_waited)
            self._has_waited = False
            if verb == "BDAT":
                await self._on_bdat(arguments)
                continue
            scripted = self._sink.answer(verb, arguments)
            await self._on(verb, arguments, scripted)

    async def _on(self, verb: str, arguments: str, scripted: Answer | None) -> None:
        match verb:
            case "EHLO" | "HELO":
                self._client_name, self._message = arguments, None
                await self._send(scripted or self._hello(verb))
            case "STARTTLS":
                await self._on_starttls(scripted)
            case "AUTH":
                await self._send(scripted or await self._authenticate(arguments))
            case "MAIL":
                await self._on_mail(arguments, scripted)
            case "RCPT":
                await self._on_rcpt(arguments, scripted)
            case "DATA":
                await self._on_data(scripted)
            case "RSET":
                self._message = None
                await self._send(scripted or OK)
            case "NOOP":
                await self._send(scripted or OK)
            case "QUIT":
                self._sink.ended.add(self._number)
                await self._send(scripted or reply("221 2.0.0 closing", Then.CLOSE))
            case _:
                await self._send(scripted or reply("500 5.5.2 unknown command"))

    def _hello(self, verb: str) -> Answer:
        keywords = list(self._sink.capabilities) if verb == "EHLO" else []
        if verb == "EHLO" and self._sink.certificate is not None and not self._tls:
            keywords.append("STARTTLS")
        if verb == "EHLO" and self._sink.logins and self._tls:
            keywords.append("AUTH PLAIN LOGIN")
        texts = ["sink.example", *keywords]
        head = "".join(f"250-{text}\r\n" for text in texts[:-1])
        return Answer(f"{head}250 {texts[-1]}\r\n".encode())

    async def _on_starttls(self, scripted: Answer | None) -> None:
        answer = scripted or reply("220 2.0.0 Ready")
        await self._send(answer)
        if not answer.accepts or self._sink.certificate is None:
            return
        self._input = b""
        await self._writer.start_tls(self._sink.certificate)
        self._tls, self._message, self._client_name = True, None, ""

    async def _authenticate(self, arguments: str) -> Answer:
        mechanism, _, initial = arguments.partition(" ")
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(initial or await self._ask("")).decode().split("\0")
        else:
            user = base64.b64decode(await self._ask("Username:")).decode()
            password = base64.b64decode(await self._ask("Password:")).decode()
        if self._sink.logins.get(user) != password:
            return reply("535 5.7.8 invalid credentials")
        self._login = user
        return reply("235 2.7.0 logged in")

    async def _ask(self, challenge: str) -> bytes:
        await self._send(reply(f"334 {base64.b64encode(challenge.encode()).decode()}"))
        return await self._read_line()

    async def _on_mail(self, arguments: str, scripted: Answer | None) -> None:
        if scripted is None and self._message is not None:
            scripted = reply("503 5.5.1 nested MAIL")
        answer = scripted or OK
        self._chunks.clear()
        if answer.accepts:
            sender, parameters = _parse_path(arguments)
            self._message = Message(sender, parameters, [], self._client_name, self._tls, self._login)
        await self._send(answer)

    async def _on_rcpt(self, arguments: str, scripted: Answer | None) -> None:
        answer = scripted or (OK if self._message is not None else reply("503 5.5.1 MAIL first"))
        if answer.accepts and self._message is not None:
            self._message.recipients.append(Recipient(*_parse_path(arguments)))
        await self._send(answer)

    async def _on_data(self, scripted: Answer | None) -> None:
        has_recipients = self._message is not None and self._message.recipients
        answer = scripted or (reply("354 go on") if has_recipients else reply("554 5.5.1 no valid recipients"))
        await self._send(answer)
        if not answer.accepts:
            return
        decoder = DotDecoder(MAX_CONTENT_OCTETS)
        while not decoder.done:
            data = self._input or await self._read()
            self._input = data[decoder.feed(data) :]
        await self._end_message(decoder.content(), self._sink.answer("CONTENT", ""))

    async def _on_bdat(self, arguments: str) -> None:
        size, _, last = arguments.partition(" ")
        content = await self._read_exactly(int(size))
        scripted = self._sink.answer("BDAT", arguments)
        message = self._message
        if message is None or not message.recipients:
            await self._send(scripted or reply("503 5.5.1 RCPT first"))
            return
        message.chunks.append(int(size))
        self._chunks.append(content)
        if last:
            await self._end_message(b"".join(self._chunks), scripted)
        else:
            await self._send(scripted or OK)

    async def _end_message(self, content: bytes, scripted: Answer | None) -> None:
        message, self._message = self._message, None
        answer = scripted or reply("250 2.6.0 accepted")
        if message is not None:
            message.content = content
            message.accepted = answer.accepts
            message.connection = self._number
            message.received_at = time.monotonic()
            self._sink.messages.append(message)
            self._sink.note_arrival()
        await self._send(answer)

    async def _send(self, answer: Answer) -> None:
        if answer.after is not None:
            await answer.after.wait()
        if answer.pause_seconds:
            for octet in answer.octets:
                self._writer.write(bytes([octet]))
                await asyncio.sleep(answer.pause_seconds)
        else:
            self._writer.write(answer.octets)
        if answer.then is Then.RESET:
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
            raise _Ended
        await self._writer.drain()
        if answer.then is Then.CLOSE:
            raise _Ended
        if answer.then is Then.WAIT:
            while True:
                await self._read()

    async def _read(self) -> bytes:
        data = await self._reader.read(READ_OCTETS)
        if not data:
            raise _Ended
        return data

    async def _read_line(self) -> bytes:
        while b"\n" not in self._input:
            self._has_waited = True
            self._input += await self._read()
        line, _, self._input = self._input.partition(b"\n")
        return line.removesuffix(b"\r")

    async def _read_exactly(self, octets: int) -> bytes:
        pieces, missing = [self._input[:octets]], octets - len(self._input)
        self._input = self._input[octets:]
        while missing > 0:
            data = await self._read()
            pieces.append(data[:missing])
            self._input = data[missing:]
            missing -= len(data)
        return b"".join(pieces)


def _parse_path(arguments: str) -> tuple[str, dict[str, str]]:
    """The address and the parameters of `FROM:<address> KEYWORD=value`; the address may have spaces and brackets."""
    path, _, rest = arguments.partition(":<")[2].rpartition(">")
    words = (word.partition("=") for word in rest.split())
    return path, {keyword.upper(): value for keyword, _, value in words}


@contextlib.contextmanager
def in_thread(sink: Sink) -> Iterator[Sink]:
    """Run a server in a thread with an event loop of its own, for tests that are not asynchronous."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with sink:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="sink")
    thread.start()
    try:
        assert started.wait(TIMEOUT_SECONDS)
        yield sink
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT_SECONDS)
        loop.close()
