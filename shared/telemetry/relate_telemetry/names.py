"""Every name that telemetry emits: sources, meters, metrics, spans and attribute keys.

The names, kinds and units in `INSTRUMENTS` are a contract with dashboards outside this repository. What each attribute
and span means is declared in `registry`.
"""

from enum import StrEnum
from typing import Literal, NamedTuple

from relate_telemetry.api_names import API_INSTRUMENTS
from relate_telemetry.instruments import Instrument
from relate_telemetry.relay_names import RELAY_INSTRUMENTS

ProtocolName = Literal["smtp", "pop3", "imap"]
SourceName = Literal["smtp", "pop3", "imap", "api"]

SOURCES = {"smtp": "Relate.Smtp", "pop3": "Relate.Pop3", "imap": "Relate.Imap", "api": "Relate.Api"}
METERS = {"smtp": "Relate.Smtp", "pop3": "Relate.Pop3", "imap": "Relate.Imap"}
NAMESPACE = "relate-mail"
STORE_SOURCE = "Relate.Store"  # of background work, and of parts of the stores' operations
RELAY_SOURCE = "Relate.Relay"

# Metric attributes
COMMAND = "command"
OUTCOME = "outcome"
REASON = "reason"
TASK = "task"
SERVICE = "service"
CACHE_NAME = "relate.cache.name"
CACHE_RESULT = "relate.cache.result"  # hit or miss


def _reader(protocol: ProtocolName, title: str) -> tuple[Instrument, ...]:
    return (
        Instrument(f"{protocol}.messages.retrieved", "counter", "messages", f"Total messages retrieved via {title}"),
        Instrument(f"{protocol}.bytes.sent", "counter", "bytes", f"Total bytes sent via {title}"),
        Instrument(f"{protocol}.auth.attempts", "counter", "attempts", f"{title} authentication attempts"),
        Instrument(f"{protocol}.auth.failures", "counter", "failures", f"{title} authentication failures"),
        Instrument(
            f"{protocol}.commands", "counter", "commands", f"{title} commands processed (tagged by command)", (COMMAND,)
        ),
        Instrument(f"{protocol}.sessions.active", "updowncounter", "sessions", f"Currently active {title} sessions"),
    )


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("smtp.messages.received", "counter", "messages", "Total messages received via SMTP"),
    Instrument("smtp.bytes.received", "counter", "bytes", "Total bytes received via SMTP"),
    Instrument("smtp.auth.attempts", "counter", "attempts", "SMTP authentication attempts"),
    Instrument("smtp.auth.failures", "counter", "failures", "SMTP authentication failures"),
    Instrument("smtp.message.processing.duration", "histogram", "ms", "Time to process an SMTP message"),
    Instrument("smtp.connections.active", "updowncounter", "connections", "Currently active SMTP connections"),
    *_reader("pop3", "POP3"),
    *_reader("imap", "IMAP"),
)

# Beside the contract
OWN_METER = "Relate.Telemetry"
SPANS_DROPPED = "relate.telemetry.spans.dropped"
LOGS_DROPPED = "relate.telemetry.logs.dropped"
BACKGROUND_FAILURES = "relate.background.failures"
WIRE_METER = "Relate.Wire"
CONTENT_MEMORY = "relate.content.memory"
CONTENT_LIMIT = "relate.content.limit"
CERTIFICATE_EXPIRES = "relate.certificate.expires"
CERTIFICATE_RELOADED = "relate.certificate.reload.successful"
CACHE_METER = "Relate.Cache"
CACHE_USAGE = "relate.cache.usage"
CACHE_LIMIT = "relate.cache.limit"
CACHE_LOOKUPS = "relate.cache.lookups"


def _duration(protocol: ProtocolName, title: str) -> Instrument:
    return Instrument(
        f"{protocol}.command.duration",
        "histogram",
        "s",
        f"Time from the last octet of an {title} command to its reply, without waits for the client",
        (COMMAND, OUTCOME),
    )


OWN_INSTRUMENTS: tuple[Instrument, ...] = (
    _duration("smtp", "SMTP"),
    _duration("pop3", "POP3"),
    _duration("imap", "IMAP"),
    Instrument(
        "imap.push.latency", "histogram", "s", "Time from a change's commit to its response on a connection in IDLE"
    ),
    Instrument("api.auth.attempts", "counter", "attempts", "API authentication attempts"),
    Instrument("api.auth.failures", "counter", "failures", "API authentication failures"),
    Instrument(SPANS_DROPPED, "counter", "spans", "Spans dropped before their export (tagged by reason)", (REASON,)),
    Instrument(
        LOGS_DROPPED, "counter", "logs", "Log lines that were not exported over OTLP (tagged by reason)", (REASON,)
    ),
    Instrument(BACKGROUND_FAILURES, "counter", "failures", "Exceptions of background tasks (tagged by task)", (TASK,)),
    Instrument(CONTENT_MEMORY, "updowncounter", "bytes", "Memory of messages being received"),
    Instrument(CONTENT_LIMIT, "updowncounter", "bytes", "Limit of the memory of messages being received"),
    Instrument(
        CERTIFICATE_EXPIRES, "gauge", "s", "Expiry of the certificate, since the epoch (tagged by service)", (SERVICE,)
    ),
    Instrument(
        CERTIFICATE_RELOADED,
        "gauge",
        "",
        "Whether the last load of the certificate succeeded (tagged by service)",
        (SERVICE,),
    ),
    Instrument(CACHE_USAGE, "gauge", "By", "Memory of a cache's entries, estimated (tagged by cache)", (CACHE_NAME,)),
    Instrument(CACHE_LIMIT, "gauge", "By", "Memory that a cache's entries may take (tagged by cache)", (CACHE_NAME,)),
    Instrument(
        CACHE_LOOKUPS,
        "counter",
        "lookups",
        "Lookups in a cache (tagged by cache and result)",
        (CACHE_NAME, CACHE_RESULT),
    ),
    *API_INSTRUMENTS,
    *RELAY_INSTRUMENTS,
)

# Histogram bounds by unit. Those of commands start at 100 µs, because most commands are answered from memory.
BOUNDS: dict[str, tuple[float, ...]] = {
    "s": (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    "ms": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000),
}

UNKNOWN_VERB = "UNKNOWN"
ABANDONED = "abandoned"  # the outcome of a command whose connection ended before its reply
OUTCOMES = frozenset({"ok", "refused", "failed", ABANDONED})
UNKNOWN_OUTCOME = "unknown"
RESET = "reset"  # the outcome of a transaction that the client discarded by RSET, EHLO or HELO
TRANSACTION_OUTCOMES = OUTCOMES | {RESET}


class EndReason(StrEnum):
    """Why a session ended: the only values of `{protocol}.end_reason`."""

    CLOSED = "closed"  # by the client's QUIT or LOGOUT
    ABANDONED = ABANDONED  # the client disconnected without it
    IDLE = "idle timeout"  # the client sent or read nothing for too long
    REFUSED = "refused"  # after a refusal that ends the session, such as the last wrong login that it allows
    TOO_MANY_ERRORS = "too many errors"  # the hard limit of refused commands
    REVOKED = "key revoked"
    TLS_FAILED = "TLS handshake failed"
    SHUTDOWN = "shutting down"
    FAILED = "failed"  # an error of ours, after which no reply could be sent


NOT_AN_ADDRESS = "(not an address)"  # in place of a login name without "@": it may be a key, so it is never shown

# Span attributes of all protocols
CLIENT_WAIT = "relate.client_wait"  # seconds of a command that were spent waiting for the client
INJECTED_FAULT = "relate.injected_fault"  # what was injected into a command, in the developers' mode
WEBHOOK_ATTEMPT = "relate.webhook.attempt"  # its number, of a delivery to a webhook
LIVE_EVENTS = "relate.live.events"  # that were written to a client of `/api/events`
GROUP_COMMIT_WAIT = "relate.group_commit.wait"  # seconds until a new message's transaction began
# OpenTelemetry's conventions for TLS, whose constants its package does not yet publish as stable
TLS_ESTABLISHED = "tls.established"
TLS_PROTOCOL_NAME = "tls.protocol.name"
TLS_PROTOCOL_VERSION = "tls.protocol.version"
TLS_CIPHER = "tls.cipher"
RELAY_DESTINATION = "relay.destination"
RELAY_RECIPIENTS = "relay.recipients"
RELAY_STATUS = "relay.status"
RELAY_SERVER = "relay.server"
RELAY_REPLY_CODE = "relay.reply.code"
RELAY_REPLY_TEXT = "relay.reply.text"
RELAY_FAILURE = "relay.failure"
RELAY_TLS_VERIFIED = "relay.tls.verified"
RELAY_QUESTION = "relay.dns.question"
RELAY_QUESTION_TYPE = "relay.dns.type"
RELAY_RECORDS = "relay.dns.records"
USER = "relate.user"  # a user's address, in an operation's attributes; subject to `Otel__UserNames`


class CommandKeys(NamedTuple):
    """The attribute keys of one protocol's session, transaction and command spans."""

    session_id: str
    command: str
    state: str
    reply_code: str
    outcome: str
    octets_received: str
    octets_sent: str
    end_reason: str
    tls_failure_reason: str


class AuthKeys(NamedTuple):
    """The attribute keys of one source's `auth.validate` span."""

    user: str
    cache_hit: str
    success: str
    rate_limited: str
    failure_reason: str
    key_name: str


def command_keys(protocol: ProtocolName) -> CommandKeys:
    """The keys of one protocol: `pop3.session_id`, `pop3.command`, …"""
    return CommandKeys(
        session_id=f"{protocol}.session_id",
        command=f"{protocol}.command",
        state=f"{protocol}.state",
        reply_code=f"{protocol}.reply.code",
        outcome=f"{protocol}.outcome",
        octets_received=f"{protocol}.octets.received",
        octets_sent=f"{protocol}.octets.sent",
        end_reason=f"{protocol}.end_reason",
        tls_failure_reason=f"{protocol}.tls.failure_reason",
    )


def auth_keys(source: SourceName) -> AuthKeys:
    """The keys of one source: `imap.auth.user`, `imap.auth.cache_hit`, …"""
    return AuthKeys(*(f"{source}.auth.{key}" for key in AuthKeys._fields))


def session_span(protocol: ProtocolName) -> str:
    """The name of a connection's span."""
    return f"{protocol}.session"


def connect_span(protocol: ProtocolName) -> str:
    """The name of the span of a connection's start, which lasts from accept to the greeting."""
    return f"{protocol}.connect"


def handshake_span(protocol: ProtocolName) -> str:
    """The name of a TLS handshake's span."""
    return f"{protocol}.tls.handshake"


def transaction_span(protocol: ProtocolName) -> str:
    """The name of a mail transaction's span (RFC 5321 §3.3)."""
    return f"{protocol}.transaction"


def command_span(protocol: ProtocolName, verb: str) -> str:
    """The name of a command's span; `verb` is from a fixed table."""
    return f"{protocol}.command.{verb.lower().replace(' ', '_')}"


def relay_span(step: str) -> str:
    """The name of the span of an attempt to send mail, or of one of its steps, which is from a fixed table."""
    return f"relay.{step.lower()}"


def push_span(protocol: ProtocolName) -> str:
    """The name of a push's span, which lasts from the commit of a change to its response."""
    return f"{protocol}.push"


def auth_span(source: SourceName) -> str:
    """The name of a login's span."""
    return f"{source}.auth.validate"
