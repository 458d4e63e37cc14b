"""What driver, framer and session ask of one another: the ports of a protocol engine.

framer   bytes → frames, pure; it owns every size limit and knows where a command ends before what it means
parse    frame → command, pure; bad input is a value, never an exception
session  command → reply; the state machine, awaiting ports only
client   what a handler may ask of the client in the middle of its command (a SASL response, DATA's content)
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from relate_wire.content_budget import HeldContent
from relate_wire.reply import Reply


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. With the PROXY protocol this is the client, not the proxy."""

    address: str
    port: int
    secure: bool = False  # TLS is on
    tls: str = ""  # "TLSv1.3 TLS_AES_256_GCM_SHA384", empty in the clear

    @property
    def is_loopback(self) -> bool:
        """Whether the connection never left this machine."""
        return self.address.startswith("127.") or self.address in ("::1", "::ffff:127.0.0.1", "")


class Farewell(Enum):
    """Why the server ends a session by itself."""

    IDLE = "idle timeout"
    SHUTDOWN = "shutting down"
    TOO_MANY_ERRORS = "too many errors"
    TOO_MANY_CONNECTIONS = "too many connections"
    REVOKED = "key revoked"


class ClientGone(Exception):
    """The connection ended, or had to be ended, in the middle of a command."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Octets that a framer wants sent before more input comes (an IMAP continuation request)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """Octets for a client that waits within a command (IMAP IDLE), and what they are about.

    `origins` are the traceparents of the transactions that delivered what is told; `committed` is when the change was,
    in seconds since the epoch, 0 where that is not known.
    """

    octets: bytes
    origins: tuple[str, ...] = ()
    committed: float = 0.0


FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound="CommandLike")
FrameT_co = TypeVar("FrameT_co", covariant=True)
CommandT_contra = TypeVar("CommandT_contra", bound="CommandLike", contravariant=True)


class CommandLike(Protocol):
    """Every command has a verb from its protocol's fixed table; an unknown one is `UNKNOWN`."""

    @property
    def verb(self) -> str:
        """The verb, in capitals."""


class Framer(Protocol[FrameT_co]):
    """Cuts the stream into frames. Pure: fed bytes, asked for frames."""

    consumed: int
    """Octets handed out in frames since the start, line ends included."""

    @property
    def draining(self) -> bool:
        """Whether what comes next is thrown away, because its command is refused already."""

    def feed(self, data: bytes) -> None:
        """Take octets as they came."""

    def next_frame(self) -> FrameT_co | Prompt | None:
        """The next whole frame, a prompt to send, or None when more octets are needed."""

    def expect(self, mode: Enum) -> None:
        """What the next frame is, when it is not a command: a response line, a message's content."""

    def clear(self) -> int:
        """Forget everything that was fed (before a TLS handshake); how many octets that was."""


class Client(Protocol[FrameT_co]):
    """The client, as a handler sees it: someone to be asked for more within one command."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end, and whether TLS is on."""

    @property
    def content(self) -> HeldContent:
        """Where the framer keeps content. It is released after each command, but not within a mail transaction."""

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT_co:
        """Send `prompt`, then wait for one frame of that mode. Raises ClientGone.

        In the meantime the client is sent what `pushes` yields, as it comes; the iterator is closed with the wait.
        """

    def end(self, reason: Farewell) -> None:
        """End the session: at once where it waits for a command, else after the command under way."""


class Session(Protocol[CommandT_contra]):
    """One protocol's state machine, for one connection."""

    @property
    def state(self) -> str:
        """The state, in the RFC's word, from a fixed table."""

    @property
    def in_transaction(self) -> bool:
        """Whether a mail transaction (RFC 5321 §3.3) is open; always False where there is no such thing."""

    async def greet(self) -> Reply:
        """The greeting; its `then` may already be CLOSE."""

    async def handle(self, command: CommandT_contra) -> Reply:
        """Answer one command. An exception from here is our bug or the store's trouble: see `error_reply`."""

    def error_reply(self, command: CommandT_contra, error: Exception) -> Reply:
        """The reply when `handle` raised: a generic sentence, never the error's text."""

    def farewell(self, reason: Farewell) -> bytes:
        """What to say before the server closes by itself; may be empty."""

    def secured(self, peer: Peer) -> None:
        """TLS is on now: forget what was learned in the clear (RFC 3207 §4.2)."""

    async def close(self) -> None:
        """The connection is gone: let go of locks. Never commits anything by itself."""


class Engine(Protocol, Generic[FrameT, CommandT]):
    """One protocol, put together for one connection: what the driver runs."""

    framer: Framer[FrameT]
    session: Session[CommandT]

    def parse(self, frame: FrameT) -> CommandT:
        """What a frame means; never raises for bad input."""
