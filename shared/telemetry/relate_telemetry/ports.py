"""The interface through which a connection's driver reports sessions and commands: its only caller.

`commands` implements it on the OpenTelemetry SDK; `NoTelemetry` records nothing, at next to no cost.

    protocol = telemetry.protocol("smtp")
    session = protocol.session(session_id, client, server, peer)
    session.handshake(Handshake(seconds=0.002, version="1.3", cipher="TLS_AES_256_GCM_SHA384"))
    session.greeted()
    with session.command("MAIL", state="ready") as command:
        …
        command.finish(CommandResult("ok", code="250", received=31, sent=14))
    session.settle(in_transaction=True)
    session.end(EndReason.CLOSED)
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from relate_telemetry.names import EndReason

__all__ = [
    "CommandResult",
    "CommandTelemetry",
    "EndReason",
    "Endpoint",
    "Handshake",
    "NoTelemetry",
    "ProtocolTelemetry",
    "Pushed",
    "SessionTelemetry",
]


class Endpoint(NamedTuple):
    """One end of a connection."""

    address: str
    port: int


class Handshake(NamedTuple):
    """A TLS handshake that has ended: with version and cipher, or with an error and the reason for it."""

    seconds: float
    version: str = ""  # `1.3`
    cipher: str = ""  # by IANA's name
    error: BaseException | None = None
    reason: str = ""  # OpenSSL's, or from a fixed table


class CommandResult(NamedTuple):
    """The result of a command; `outcome` and `code` are from fixed tables."""

    outcome: str  # one of `names.OUTCOMES`
    code: str = ""  # of the reply
    received: int = 0  # octets
    sent: int = 0  # octets
    messages_received: int = 0
    messages_retrieved: int = 0
    processing: float | None = None  # seconds from a message's last octet to the reply
    waited: float = 0.0  # seconds within the command that were spent waiting for the client
    linked: str | None = None  # a traceparent to which the transaction links


class Pushed(NamedTuple):
    """An untagged response about a change, sent while a command waits for changes (IMAP IDLE, RFC 2177)."""

    octets: int
    origins: tuple[str, ...] = ()  # traceparents of the deliveries of the messages
    committed: float = 0.0  # when the change was committed, in seconds since the epoch; 0 where that is not known


class CommandTelemetry(Protocol):
    """One command, from its last octet to the end of its reply. While entered, its span is the current one."""

    def __enter__(self) -> "CommandTelemetry": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def fault(self, error: BaseException) -> None:
        """Record an error of ours: status Error, exception.type and exception.message."""

    def pushed(self, pushed: Pushed) -> None:
        """Record an untagged response that was sent while the command waits."""

    def injected(self, fault: str) -> None:
        """Record that a fault was injected: `delay`, `reply` or `disconnect`."""

    def finish(self, result: CommandResult) -> None:
        """Record the result, after the reply has been sent."""


class SessionTelemetry(Protocol):
    """One connection."""

    def handshake(self, handshake: Handshake) -> None:
        """Record a TLS handshake, after its end."""

    def greeted(self) -> None:
        """Record that the greeting was sent, or queued for sending."""

    def command(self, verb: str, state: str) -> CommandTelemetry:
        """Start a command. In SMTP, MAIL outside of a transaction also starts the transaction."""

    def settle(self, in_transaction: bool) -> None:
        """End the open transaction unless the session is still in one. Called after each command."""

    def end(self, reason: EndReason) -> None:
        """Record the end of the connection. An open transaction ends with it."""


class ProtocolTelemetry(Protocol):
    """The telemetry of one protocol."""

    def session(self, session_id: str, client: Endpoint, server: Endpoint, peer: Endpoint) -> SessionTelemetry:
        """Record a new connection to `server`. `peer` is the client, or the proxy that named the client."""


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


class QueueStatistics(Protocol):
    """The numbers of the queue of outgoing mail."""

    @property
    def counts(self) -> Mapping[Any, int]:
        """The number of recipients by state; the keys equal texts, those of `relay_names.QUEUE_STATES` among them."""

    @property
    def oldest_arrived(self) -> float | None:
        """When the oldest recipient that is not held arrived, in seconds since the epoch; None if there is none."""

    @property
    def suspended(self) -> int:
        """The number of suspended destinations."""


class StreamStatistics(Protocol):
    """The numbers of the streams of events of a process; its length is the number of open ones."""

    @property
    def events(self) -> int:
        """The events that were written, since the start."""

    @property
    def slow(self) -> int:
        """The streams that ended because their client did not read, since the start."""

    def __len__(self) -> int: ...


class WebhookStatistics(Protocol):
    """The numbers of all webhooks, or of all push subscriptions. Times are in seconds since the epoch."""

    @property
    def enabled(self) -> int:
        """Those that are enabled."""

    @property
    def disabled(self) -> int:
        """Those that were disabled because they failed or are gone."""

    @property
    def oldest(self) -> float | None:
        """When the oldest waiting delivery was stored; None if there is none."""

    @property
    def first_due(self) -> float | None:
        """When the first attempt is due; None if none waits."""


class NoTelemetry:
    """Records nothing, for `OTEL_SDK_DISABLED=true` and for tests: protocol, session and command in one object."""

    def session(self, session_id: str, client: Endpoint, server: Endpoint, peer: Endpoint) -> "NoTelemetry":
        """See `ProtocolTelemetry.session`."""
        return self

    def handshake(self, handshake: Handshake) -> None:
        """See `SessionTelemetry.handshake`."""

    def greeted(self) -> None:
        """See `SessionTelemetry.greeted`."""

    def command(self, verb: str, state: str) -> "NoTelemetry":
        """See `SessionTelemetry.command`."""
        return self

    def __enter__(self) -> "NoTelemetry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def fault(self, error: BaseException) -> None:
        """See `CommandTelemetry.fault`."""

    def pushed(self, pushed: Pushed) -> None:
        """See `CommandTelemetry.pushed`."""

    def injected(self, fault: str) -> None:
        """See `CommandTelemetry.injected`."""

    def finish(self, result: CommandResult) -> None:
        """See `CommandTelemetry.finish`."""

    def settle(self, in_transaction: bool) -> None:
        """See `SessionTelemetry.settle`."""

    def end(self, reason: EndReason) -> None:
        """See `SessionTelemetry.end`."""
