"""The command seam: the one place where a protocol's command becomes a span and a count.

The driver is its only caller. What is here is the interface; `pipeline` implements it on the OpenTelemetry SDK, and
`NoTelemetry` does nothing at next to no cost. A cheaper pipeline goes behind the same five methods.

    protocol = telemetry.protocol("smtp")
    session = protocol.session(session_id, client="192.0.2.1", port=2525)
    with session.command("MAIL", state="ready") as command:
        …
        command.finish("ok", code="250", received=31, sent=14)
    session.settle(in_transaction=True)
    session.end("quit")
"""

from types import TracebackType
from typing import NamedTuple, Protocol


class CommandResult(NamedTuple):
    """What a command did, as the driver knows it: outcome and code from fixed tables, octets, and seconds."""

    outcome: str  # "ok" | "refused" | "failed"
    code: str = ""
    received: int = 0
    sent: int = 0
    messages_received: int = 0
    messages_retrieved: int = 0
    processing: float | None = None  # a message's, from its last octet to the reply
    waited: float = 0.0  # for the client, within the command
    linked: str | None = None  # a traceparent: what the transaction is to be linked to


class Pushed(NamedTuple):
    """What a client that waits within a command was told unasked: octets, and the origins of what they are about.

    `committed` is when the change was, in seconds since the epoch, 0 where that is not known.
    """

    octets: int
    origins: tuple[str, ...] = ()
    committed: float = 0.0


class CommandTelemetry(Protocol):
    """One command, from its last octet read to its reply sent. While entered, its span is the current one."""

    def __enter__(self) -> "CommandTelemetry": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def fault(self, error: BaseException) -> None:
        """The command met trouble of ours: status Error, exception.type and exception.message."""

    def pushed(self, pushed: Pushed) -> None:
        """The client was told of a change while the command waits for it (IMAP IDLE)."""

    def finish(self, done: CommandResult) -> None:
        """The reply is sent."""


class SessionTelemetry(Protocol):
    """One connection."""

    def command(self, verb: str, state: str) -> CommandTelemetry:
        """Begin a command. Where the protocol has transactions, MAIL outside of one begins its trace."""

    def settle(self, in_transaction: bool) -> None:
        """After each command: an open transaction's trace ends when the session has none any more."""

    def end(self, reason: str) -> None:
        """The connection is gone; `reason` is from a fixed table."""


class ProtocolTelemetry(Protocol):
    """One protocol's seam."""

    def session(self, session_id: str, client: str, port: int) -> SessionTelemetry:
        """A connection begins. `client` is the client's address, `port` the one it came in on."""


class CacheStatistics(Protocol):
    """The counters of one cache."""

    @property
    def octets(self) -> int:
        """The estimated memory of its entries."""

    @property
    def limit_octets(self) -> int:
        """The limit of `octets`."""

    @property
    def hits(self) -> int:
        """Lookups that were answered from the cache."""

    @property
    def misses(self) -> int:
        """Lookups that were not."""


class NoTelemetry:
    """Records nothing, for `OTEL_SDK_DISABLED=true` and for tests: protocol, session and command at once."""

    def session(self, session_id: str, client: str, port: int) -> "NoTelemetry":
        """No session."""
        return self

    def command(self, verb: str, state: str) -> "NoTelemetry":
        """No command."""
        return self

    def __enter__(self) -> "NoTelemetry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def fault(self, error: BaseException) -> None:
        """Nothing."""

    def pushed(self, pushed: Pushed) -> None:
        """Nothing."""

    def finish(self, done: CommandResult) -> None:
        """Nothing."""

    def settle(self, in_transaction: bool) -> None:
        """Nothing."""

    def end(self, reason: str) -> None:
        """Nothing."""
