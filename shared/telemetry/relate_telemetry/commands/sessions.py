"""The spans of sessions and transactions, and where those of commands are.

Every parent is given explicitly, so the current span does not influence a trace.
"""

from time import time_ns
from typing import NamedTuple

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from relate_telemetry.commands.command import Command
from relate_telemetry.commands.templates import ProtocolTemplates
from relate_telemetry.names import (
    ABANDONED,
    RESET,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
)
from relate_telemetry.ports import CommandResult, EndReason, Handshake
from relate_telemetry.redaction import exception_type
from relate_telemetry.spans import RecurringAttributes, SpanHead, head_below, head_beside

# The outcome of a transaction during which the session ends for such a reason; for any other it is abandoned.
_INTERRUPTED = {EndReason.REFUSED: "refused", EndReason.TOO_MANY_ERRORS: "refused", EndReason.FAILED: "failed"}


class SpanPlacement(NamedTuple):
    """Where the spans of commands are, and the transaction that they belong to."""

    head: SpanHead
    transaction: Span | None = None


class Session:
    """A connection whose commands are children of its span: one trace per session, as in POP3."""

    def __init__(self, protocol: ProtocolTemplates, session_id: str, endpoints: RecurringAttributes) -> None:
        self._protocol = protocol
        # Of all spans of the session.
        self._attributes: dict[str, AttributeValue] = {protocol.keys.session_id: session_id}
        self._ended = False
        self._verb = ""  # of the latest command
        self.last_result = CommandResult(ABANDONED)  # of it
        self._span = protocol.sessions.start_root(self._attributes | endpoints)
        self._below = head_below(self._span, self._attributes)
        # The session's span is exported at its end, this one at the greeting.
        self._connect: Span | None = protocol.connects.start(self._below)
        self._connect.set_attributes(endpoints)
        self._placement = self._default = self._default_placement()
        protocol.metrics.active.add(1)

    def handshake(self, handshake: Handshake) -> None:
        """See `ports.SessionTelemetry.handshake`. The session's span gets its attributes, too."""
        now = time_ns()
        start = now - int(handshake.seconds * 1e9)
        span = self._protocol.handshakes.start(self._below, start)
        attributes = self._tls_attributes(handshake)
        span.set_attributes(attributes)
        span.end(now)
        self._span.set_attributes(attributes)

    def greeted(self) -> None:
        """See `ports.SessionTelemetry.greeted`. Idempotent."""
        if self._connect is not None:
            self._connect.end()
            self._connect = None

    def command(self, verb: str, state: str) -> Command:
        """See `ports.SessionTelemetry.command`."""
        protocol = self._protocol
        self._verb = verb
        template = protocol.commands.get((verb, state)) or protocol.add_command(verb, state)
        if template.starts_transaction and self._placement is self._default:
            self._placement = self._start_transaction()
        placement = self._placement
        return Command(self, protocol, template.metrics, template.spans.start(placement.head), placement.transaction)

    def _start_transaction(self) -> SpanPlacement:
        return self._default  # this protocol has no transactions

    def settle(self, in_transaction: bool) -> None:
        """See `ports.SessionTelemetry.settle`; this protocol has no transactions."""

    def end(self, reason: EndReason) -> None:
        """See `ports.SessionTelemetry.end`. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self.greeted()
        self._span.set_attribute(self._protocol.keys.end_reason, reason.value)
        if reason is EndReason.FAILED:
            self._span.set_status(Status(StatusCode.ERROR, reason.value))
        self._span.end()
        self._protocol.metrics.active.add(-1)

    def _tls_attributes(self, handshake: Handshake) -> dict[str, AttributeValue]:
        if handshake.error is None:
            return {
                TLS_ESTABLISHED: True,
                TLS_PROTOCOL_NAME: "tls",
                TLS_PROTOCOL_VERSION: handshake.version,
                TLS_CIPHER: handshake.cipher,
            }
        return {
            TLS_ESTABLISHED: False,
            ERROR_TYPE: exception_type(handshake.error),
            self._protocol.keys.tls_failure_reason: handshake.reason,
        }

    def _default_placement(self) -> SpanPlacement:
        return SpanPlacement(self._below)


class TracePerCommand(Session):
    """A connection whose commands are separate traces, linked to its span, because an IMAP session lasts for days."""

    def _default_placement(self) -> SpanPlacement:
        return SpanPlacement(head_beside(self._span, self._attributes))


class TracePerTransaction(Session):
    """A connection whose mail transactions (RFC 5321 §3.3) are separate traces, linked to the session's span."""

    def __init__(self, protocol: ProtocolTemplates, session_id: str, endpoints: RecurringAttributes) -> None:
        super().__init__(protocol, session_id, endpoints)
        self._beside = head_beside(self._span, self._attributes)
        self._recipients: CommandResult | None = None  # of the open transaction: see `_note_recipient`

    def settle(self, in_transaction: bool) -> None:
        """See `ports.SessionTelemetry.settle`."""
        if self._placement.transaction is None:
            return
        if not in_transaction:
            self._end_transaction(self._transaction_result())
        elif self._verb == "RCPT":
            self._note_recipient(self.last_result)

    def end(self, reason: EndReason) -> None:
        """See `ports.SessionTelemetry.end`."""
        self._end_transaction(CommandResult(_INTERRUPTED.get(reason, ABANDONED)))
        super().end(reason)

    def _start_transaction(self) -> SpanPlacement:
        self._recipients = None
        span = self._protocol.transactions.start(self._beside)
        return SpanPlacement(head_below(span, self._attributes), span)

    def _note_recipient(self, result: CommandResult) -> None:
        """Keep the result that decides about all recipients: one accepted, else one failed, else one refused."""
        known = self._recipients
        if known is None or known.outcome == "refused" or result.outcome == "ok":
            self._recipients = result

    def _transaction_result(self) -> CommandResult:
        """The outcome of the transaction that the latest command has ended, and the code of the reply that decided."""
        result, recipients = self.last_result, self._recipients
        if result.outcome != "ok" or result.messages_received:
            return result
        if recipients is not None and recipients.outcome != "ok":
            return recipients
        return CommandResult(ABANDONED if self._verb == "QUIT" else RESET)

    def _end_transaction(self, result: CommandResult) -> None:
        span = self._placement.transaction
        if span is None:
            return
        span.set_attributes(self._protocol.outcome_attributes(result))
        if result.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, result.code))
        span.end()
        self._placement = self._default
