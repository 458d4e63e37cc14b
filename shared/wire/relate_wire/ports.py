"""The interfaces between driver, framer and session: the ports of a protocol engine.

framer   bytes → frames, pure; enforces every size limit, and finds the end of a command without parsing it
parse    frame → command, pure; bad input is a value, never an exception
session  command → reply; the state machine, which awaits ports only
client   input that a handler requests in the middle of its command (a SASL response, DATA's content)
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from relate_wire.content_budget import HeldContent
from relate_wire.reply import Reply

__all__ = [
    "Client",
    "ClientGone",
    "CommandLike",
    "Engine",
    "Farewell",
    "Framer",
    "Peer",
    "Prompt",
    "Push",
    "Session",
]


@dataclass(frozen=True, slots=True)
class Peer:
    """The remote end of a connection. With the PROXY protocol this is the client, not the proxy."""

    address: str
    port: int
    secure: bool = False  # TLS is active
    tls: str = ""  # "TLSv1.3 TLS_AES_256_GCM_SHA384", empty without TLS

    @property
    def is_loopback(self) -> bool:
        """Whether the client is on this machine."""
        return self.address.startswith("127.") or self.address in ("::1", "::ffff:127.0.0.1", "")


class Farewell(Enum):
    """Why the server ends a session on its own initiative. Each value is one of telemetry's `EndReason` too."""

    IDLE = "idle timeout"
    SHUTDOWN = "shutting down"
    TOO_MANY_ERRORS = "too many errors"
    REVOKED = "key revoked"


class ClientGone(Exception):
    """The connection ended in the middle of a command: by the server for a `reason`, by the client without one."""

    def __init__(self, reason: Farewell | None = None) -> None:
        super().__init__(reason.value if reason else "the client disconnected")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Prompt:
    """Octets that a framer wants sent before more input comes (an IMAP continuation request)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """Unsolicited octets for a client that waits within a command (IMAP IDLE), and the change that they report.

    `origins` are the traceparents of the transactions that delivered the messages; `committed` is the time of the
    change in seconds since the epoch, 0 if unknown.
    """

    octets: bytes
    origins: tuple[str, ...] = ()
    committed: float = 0.0


FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound="CommandLike")
FrameT_co = TypeVar("FrameT_co", covariant=True)
CommandT_contra = TypeVar("CommandT_contra", bound="CommandLike", contravariant=True)


class CommandLike(Protocol):
    """A parsed command. Its verb is from its protocol's fixed table, `UNKNOWN` for any other."""

    @property
    def verb(self) -> str:
        """The verb, in upper case."""


class Framer(Protocol[FrameT_co]):
    """Splits the stream into frames, without I/O."""

    consumed: int
    """Octets returned in frames since the start, line ends included."""

    @property
    def draining(self) -> bool:
        """Whether the octets that follow are discarded, because their command is refused already."""

    def feed(self, data: bytes) -> None:
        """Append received octets to the buffer."""

    def next_frame(self) -> FrameT_co | Prompt | None:
        """Return the next complete frame, a prompt to send, or None if more octets are needed."""

    def expect(self, mode: Enum) -> None:
        """Set what the next frame is if it is not a command: a response line, a message's content."""

    def clear(self) -> int:
        """Discard the buffer (before a TLS handshake); returns the number of octets discarded."""


class Client(Protocol[FrameT_co]):
    """The client, as a handler sees it: a source of further input within one command."""

    @property
    def session_id(self) -> str:
        """The random id of the session, as in its spans and log lines."""

    @property
    def peer(self) -> Peer:
        """The remote address, and the state of TLS."""

    @property
    def content(self) -> HeldContent:
        """The framer's content buffer. It is released after each command, but not within a mail transaction."""

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT_co:
        """Send `prompt`, then wait for one frame of that mode. Raises ClientGone.

        While waiting, sends each item of `pushes` as it is yielded; the generator is closed when the wait ends.
        """

    def end(self, reason: Farewell) -> None:
        """End the session: at once while it waits for a command, else after the current command."""


class Session(Protocol[CommandT_contra]):
    """One protocol's state machine, for one connection."""

    @property
    def state(self) -> str:
        """The state by the RFC's name, from a fixed table."""

    @property
    def in_transaction(self) -> bool:
        """Whether a mail transaction (RFC 5321 §3.3) is open; always False in other protocols."""

    async def greet(self) -> Reply:
        """Return the greeting; its `then` may be CLOSE."""

    async def handle(self, command: CommandT_contra) -> Reply:
        """Execute one command. An exception is a bug or a failure of the store: see `error_reply`."""

    def error_reply(self, command: CommandT_contra, error: Exception) -> Reply:
        """Return the reply for an exception of `handle`: a generic sentence, never the exception's text."""

    def farewell(self, reason: Farewell) -> bytes:
        """Return the last line before the server closes the connection; may be empty."""

    def secured(self, peer: Peer) -> None:
        """TLS is active: discard all state from before the handshake (RFC 3207 §4.2)."""

    async def close(self) -> None:
        """Release locks after the connection has ended. Never commits anything."""


class Engine(Protocol, Generic[FrameT, CommandT]):
    """The framer, parser and session of one protocol for one connection, run by the driver."""

    framer: Framer[FrameT]
    session: Session[CommandT]

    def parse(self, frame: FrameT) -> CommandT:
        """Parse a frame; never raises for bad input."""
