"""Spans of the relay: an attempt, and its steps."""

from relate_telemetry import relay_names
from relate_telemetry.names import (
    RELAY_DESTINATION,
    RELAY_FAILURE,
    RELAY_QUESTION,
    RELAY_QUESTION_TYPE,
    RELAY_RECIPIENTS,
    RELAY_RECORDS,
    RELAY_REPLY_CODE,
    RELAY_REPLY_TEXT,
    RELAY_SERVER,
    RELAY_STATUS,
    RELAY_TLS_VERIFIED,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
    relay_span,
)
from relate_telemetry.registry.declarations import FAILURE, SpanType

_PEER = ("network.peer.address", "network.peer.port")

_FAILED = (RELAY_FAILURE, *FAILURE)


def _step(name: str, brief: str, attributes: tuple[str, ...]) -> SpanType:
    return SpanType(f"relay.{name}", relay_span(name), "client", brief, "The attempt.", (*attributes, *_FAILED))


RELAY = (
    SpanType(
        "relay.attempt",
        relay_span("attempt"),
        "client",
        "An attempt to send a message to the recipients of one destination.",
        "None; the attempt links to the transaction that brought the message.",
        (
            RELAY_DESTINATION,
            RELAY_RECIPIENTS,
            relay_names.OUTCOME,
            RELAY_STATUS,
            RELAY_SERVER,
            relay_names.UNSIGNED_REASON,
            relay_names.STS_MODE,
            relay_names.TLS_RESULT,
            *FAILURE,
        ),
    ),
    _step("dns", "A question to the DNS.", (RELAY_QUESTION, RELAY_QUESTION_TYPE, RELAY_RECORDS)),
    _step("connect", "A connection to an address of another server.", _PEER),
    _step(
        "tls",
        "A TLS handshake with another server.",
        (TLS_ESTABLISHED, TLS_PROTOCOL_NAME, TLS_PROTOCOL_VERSION, TLS_CIPHER, RELAY_TLS_VERIFIED),
    ),
    SpanType(
        "relay.command",
        "relay.command.{verb}",
        "client",
        "A command to another server, up to its reply; `greeting` is its first reply, `content` the message.",
        "The attempt.",
        (RELAY_REPLY_CODE, RELAY_STATUS, RELAY_REPLY_TEXT, *_FAILED),
    ),
)
