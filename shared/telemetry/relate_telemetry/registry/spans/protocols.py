"""Spans of connections: sessions, handshakes, transactions, commands, pushes, and logins."""

from collections.abc import Mapping
from typing import NamedTuple, get_args

from relate_telemetry.names import (
    CLIENT_WAIT,
    INJECTED_FAULT,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
    ProtocolName,
    SourceName,
    auth_keys,
    auth_span,
    command_keys,
    connect_span,
    handshake_span,
    push_span,
    session_span,
    transaction_span,
)
from relate_telemetry.registry.attributes import TITLES
from relate_telemetry.registry.declarations import FAILURE, SpanKind, SpanType

_ENDPOINTS = (
    "client.address",
    "client.port",
    "server.address",
    "server.port",
    "network.peer.address",
    "network.peer.port",
    "network.protocol.name",
    "network.transport",
)

_TLS = (TLS_ESTABLISHED, TLS_PROTOCOL_NAME, TLS_PROTOCOL_VERSION, TLS_CIPHER, "error.type")


class Placement(NamedTuple):
    """Kind and parent of a protocol's commands."""

    kind: SpanKind
    parent: str


_COMMANDS: Mapping[ProtocolName, Placement] = {
    "smtp": Placement("internal", "The transaction, or the session outside of transactions."),
    "pop3": Placement("internal", "The session."),
    "imap": Placement("server", "None; the command links to the session."),
}

TRANSACTION = SpanType(
    "smtp.transaction",
    transaction_span("smtp"),
    "server",
    "A mail transaction (RFC 5321 §3.3), from MAIL to its last reply.",
    "None; the transaction links to the session and to the submitted `traceparent`.",
    (command_keys("smtp").session_id, command_keys("smtp").outcome, command_keys("smtp").reply_code),
)

PUSH = SpanType(
    "imap.push",
    push_span("imap"),
    "producer",
    "A change sent to a client in IDLE, from the commit of the change to its response.",
    "The IDLE command; the push links to the delivery.",
    (command_keys("imap").octets_sent,),
)

SELECT = SpanType(
    "imap.mailbox.select",
    "imap.mailbox.select",
    "internal",
    "The opening of a mailbox by SELECT or EXAMINE.",
    "The command.",
    ("imap.mailbox.name", "imap.mailbox.read_only", "imap.mailbox.message_count", *FAILURE),
)


def _session(protocol: ProtocolName) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.session",
        session_span(protocol),
        "server",
        f"A connection over {TITLES[protocol]}.",
        "None.",
        (keys.session_id, *_ENDPOINTS, *_TLS, keys.tls_failure_reason, keys.end_reason),
    )


def _connect(protocol: ProtocolName) -> SpanType:
    return SpanType(
        f"{protocol}.connect",
        connect_span(protocol),
        "internal",
        f"The start of a connection over {TITLES[protocol]}, from accept to the greeting; exported at once.",
        "The session.",
        (command_keys(protocol).session_id, *_ENDPOINTS),
    )


def _handshake(protocol: ProtocolName) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.tls.handshake",
        handshake_span(protocol),
        "internal",
        "A TLS handshake, at the start of a connection or after STARTTLS.",
        "The session.",
        (keys.session_id, *_TLS, keys.tls_failure_reason),
    )


def _command(protocol: ProtocolName, placement: Placement) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.command",
        f"{protocol}.command.{{verb}}",
        placement.kind,
        f"A command of {TITLES[protocol]}, from its last octet to its reply.",
        placement.parent,
        (
            keys.session_id,
            keys.command,
            keys.state,
            keys.reply_code,
            keys.outcome,
            keys.octets_received,
            keys.octets_sent,
            CLIENT_WAIT,
            INJECTED_FAULT,
            *FAILURE,
        ),
    )


def _login(source: SourceName) -> SpanType:
    return SpanType(
        f"{source}.auth.validate",
        auth_span(source),
        "internal",
        f"A login to {TITLES[source]}.",
        "The command or request.",
        (*auth_keys(source), *FAILURE),
    )


PROTOCOLS = (
    *(_session(protocol) for protocol in _COMMANDS),
    *(_connect(protocol) for protocol in _COMMANDS),
    *(_handshake(protocol) for protocol in _COMMANDS),
    TRANSACTION,
    *(_command(*command) for command in _COMMANDS.items()),
    PUSH,
    SELECT,
    *(_login(source) for source in get_args(SourceName)),
)
