"""A minimal line protocol for tests of the driver and the server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from relate_telemetry.ports import NoTelemetry, ProtocolTelemetry
from relate_wire.driver import Listener, Service
from relate_wire.limits import Limits
from relate_wire.lines import Line, LineFramer, LineMode
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.refusals import RefusalLimits
from relate_wire.reply import NextStep, Outcome, Reply
from relate_wire.tls import Certificate, DevelopmentCertificate, development_certificate


@dataclass(frozen=True)
class ToyCommand:
    verb: str
    argument: str = ""


@dataclass
class ToySession:
    """`handlers` maps verbs to handlers, in addition to those built in."""

    client: Client[Line]
    handlers: dict[str, Callable[["ToySession", ToyCommand], Awaitable[Reply]]] = field(default_factory=dict)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    peers: list[Peer] = field(default_factory=list)
    state = "only"
    in_transaction = False

    async def greet(self) -> Reply:
        return Reply(b"hello\r\n")

    async def handle(self, command: ToyCommand) -> Reply:
        handler = self.handlers.get(command.verb) or BUILT_IN.get(command.verb)
        return await handler(self, command) if handler else Reply(b"what?\r\n", Outcome.REFUSED)

    def error_reply(self, command: ToyCommand, error: Exception) -> Reply:
        return Reply(b"error_reply\r\n", Outcome.FAILED)

    def farewell(self, reason: Farewell) -> bytes:
        return f"leaving: {reason.value}\r\n".encode()

    def secured(self, peer: Peer) -> None:
        self.peers.append(peer)

    async def close(self) -> None:
        self.closed.set()


async def echo(_: ToySession, command: ToyCommand) -> Reply:
    return Reply(command.argument.encode() + b"\r\n")


async def ask(session: ToySession, _: ToyCommand) -> Reply:
    line = await session.client.ask(b"go on\r\n", LineMode.RESPONSE)
    return Reply(b"you said " + line.octets + b"\r\n")


async def fail(_: ToySession, __: ToyCommand) -> Reply:
    raise RuntimeError("a bug")


async def truncate(_: ToySession, __: ToyCommand) -> Reply:
    return Reply(b"here\r\n", body=_truncated())


async def start_tls(_: ToySession, __: ToyCommand) -> Reply:
    return Reply(b"begin\r\n", then=NextStep.STARTTLS)


async def who(session: ToySession, _: ToyCommand) -> Reply:
    peer = session.client.peer
    return Reply(f"{peer.address} {peer.port} {peer.secure} {peer.tls}\r\n".encode())


async def later(_: ToySession, __: ToyCommand) -> Reply:
    return Reply(b"later\r\n", Outcome.REFUSED, uncounted=True)


async def leave(_: ToySession, __: ToyCommand) -> Reply:
    return Reply(b"bye\r\n", then=NextStep.CLOSE)


BUILT_IN: dict[str, Callable[[ToySession, ToyCommand], Awaitable[Reply]]] = {
    "ECHO": echo,
    "ASK": ask,
    "BREAK": fail,
    "TRUNCATE": truncate,
    "STARTTLS": start_tls,
    "WHO": who,
    "LATER": later,
    "QUIT": leave,
}


async def _truncated() -> AsyncIterator[bytes]:
    yield b"half of it\r\n"
    raise RuntimeError("the store is not available")


class ToyEngine:
    def __init__(self, session: ToySession) -> None:
        self.framer: Framer[Line] = LineFramer(1000)
        self.session: Session[ToyCommand] = session

    def parse(self, frame: Line) -> ToyCommand:
        verb, _, argument = frame.octets.decode("latin-1").partition(" ")
        return ToyCommand(verb.upper(), argument)


class ToyService:
    """A toy service, and the sessions that it created."""

    def __init__(self, **handlers: Callable[[ToySession, ToyCommand], Awaitable[Reply]]) -> None:
        self.handlers = handlers
        self.sessions: list[ToySession] = []

    def engine(self, client: Client[Line]) -> ToyEngine:
        self.sessions.append(ToySession(client, self.handlers))
        return ToyEngine(self.sessions[-1])

    def service(
        self,
        limits: Limits | None = None,
        tls: Certificate | None = None,
        implicit_tls: bool = False,
        telemetry: ProtocolTelemetry | None = None,
        refusals: RefusalLimits | None = None,
    ) -> Service:
        listener = Listener("127.0.0.1", 0, self.engine, implicit_tls)
        return Service(
            "toy",
            (listener,),
            telemetry or NoTelemetry(),
            limits or Limits(),
            tls,
            b"too many\r\n",
            refusals=refusals or RefusalLimits(),
        )


def server_tls(directory: Path) -> Certificate:
    return DevelopmentCertificate(directory, "localhost")


def client_tls(directory: Path) -> ssl.SSLContext:
    """A client context that trusts the development certificate, and no other."""
    return ssl.create_default_context(cafile=str(development_certificate(directory, "localhost")))
