"""Spans and metrics of sessions, transactions and commands: `ports` on the OpenTelemetry SDK.

Every parent is given explicitly, so the current span does not influence a trace. A command's context carries the
command itself: the traced store finds the transaction and the reader's span there, in any task that the command starts.
"""

import re
from time import perf_counter, time_ns
from typing import NamedTuple, Self

from opentelemetry.context import Context, create_key
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS, CLIENT_PORT
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.network_attributes import (
    NETWORK_PEER_ADDRESS,
    NETWORK_PEER_PORT,
    NETWORK_PROTOCOL_NAME,
    NETWORK_TRANSPORT,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.fast.span import FastSpan
from relate_telemetry.links import add_link
from relate_telemetry.metrics import CommandMetrics, Instruments, ReaderMetrics, SmtpMetrics, VerbMetrics
from relate_telemetry.names import (
    ABANDONED,
    CLIENT_WAIT,
    INJECTED_FAULT,
    RESET,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
    UNKNOWN_VERB,
    ProtocolName,
    command_keys,
    command_span,
    connect_span,
    handshake_span,
    push_span,
    session_span,
    transaction_span,
)
from relate_telemetry.ports import CommandResult, Endpoint, EndReason, Handshake, Pushed
from relate_telemetry.redaction import exception_type
from relate_telemetry.sdk_internals import SPAN_KEY, attach_context, current_context
from relate_telemetry.spans import RecurringAttributes, SpanHead, SpanTemplate, head_below, head_beside, make_template

MAX_VERBS = 64  # of one protocol: twice as many as IMAP has with our extensions; label sets stay in memory

MAX_RECURRING_OCTETS = 1024  # received or sent: sizes above are seldom the same
MAX_RESULTS = 2048  # of one protocol; their attributes take some 1 MB

_VERB = re.compile(r"[A-Z0-9 ]{1,20}")  # the longest verb is UNAUTHENTICATE
_COMMAND = create_key("relate-command")

# The outcome of a transaction during which the session ends for such a reason; for any other it is abandoned.
_INTERRUPTED = {EndReason.REFUSED: "refused", EndReason.TOO_MANY_ERRORS: "refused", EndReason.FAILED: "failed"}


class Verb(NamedTuple):
    """A command's name, which is safe as a label, and the name of its span."""

    name: str
    span: str


class Verbs:
    """The verbs of one protocol, bounded in number in case a parser passes a name that is not from its fixed table."""

    def __init__(self, protocol: ProtocolName) -> None:
        self._protocol = protocol
        self._unknown = Verb(UNKNOWN_VERB, command_span(protocol, UNKNOWN_VERB))
        self._verbs = {UNKNOWN_VERB: self._unknown}

    def find(self, name: str) -> Verb:
        """The verb of that name; UNKNOWN if it does not look like a verb, or there are MAX_VERBS already."""
        return self._verbs.get(name) or self._add(name)

    def _add(self, name: str) -> Verb:
        if len(self._verbs) > MAX_VERBS or not _VERB.fullmatch(name):
            return self._unknown
        return self._verbs.setdefault(name, Verb(name, command_span(self._protocol, name)))


class CommandTemplate(NamedTuple):
    """The spans of a verb in one state of the session, the metrics of the verb, and whether it starts a transaction."""

    spans: SpanTemplate
    metrics: VerbMetrics
    starts_transaction: bool


class SpanPlacement(NamedTuple):
    """Where the spans of commands are, and the transaction that they belong to."""

    head: SpanHead
    transaction: Span | None = None


class ProtocolSpans:
    """Spans and metrics of one protocol: see `ports.ProtocolTelemetry`."""

    def __init__(self, protocol: ProtocolName, tracer: Tracer, instruments: Instruments) -> None:
        self.name = protocol
        self.keys = command_keys(protocol)
        self.verbs = Verbs(protocol)
        self.metrics: CommandMetrics = (SmtpMetrics if protocol == "smtp" else ReaderMetrics)(instruments, protocol)
        network = {NETWORK_PROTOCOL_NAME: protocol, NETWORK_TRANSPORT: "tcp"}
        self.sessions = make_template(tracer, session_span(protocol), SpanKind.SERVER, network)
        self.connects = make_template(tracer, connect_span(protocol), SpanKind.INTERNAL, network)
        self.handshakes = make_template(tracer, handshake_span(protocol), SpanKind.INTERNAL)
        self.transactions = make_template(tracer, transaction_span(protocol), SpanKind.SERVER)
        self.pushes = make_template(tracer, push_span(protocol), SpanKind.PRODUCER)
        self._tracer = tracer
        self.commands: dict[tuple[str, str], CommandTemplate] = {}  # by verb and state, both from fixed tables
        self._verb_metrics: dict[str, VerbMetrics] = {}
        self._results: dict[tuple[object, ...], RecurringAttributes] = {}  # by outcome, code and octets

    def add_command(self, verb: str, state: str) -> "CommandTemplate":
        """The template of a command whose verb and state are not in `commands` yet, or that is unknown."""
        known = self.verbs.find(verb)
        if known.name != verb:
            return self.commands.get((known.name, state)) or self.add_command(known.name, state)
        kind, attributes = _SESSIONS[self.name].command_kind, {self.keys.command: verb, self.keys.state: state}
        spans = make_template(self._tracer, known.span, kind, attributes)
        metrics = self._verb_metrics.get(verb)
        if metrics is None:
            metrics = self._verb_metrics[verb] = self.metrics.verb(verb)
        starts_transaction = verb == "MAIL"
        made = self.commands[verb, state] = CommandTemplate(spans, metrics, starts_transaction)
        return made

    def result_attributes(self, result: CommandResult) -> RecurringAttributes:
        """The attributes of a command's result."""
        if result.waited > 0:
            return self._make_attributes(result)
        return self._results.get(result[:4]) or self._add_result(result)

    def outcome_attributes(self, result: CommandResult) -> RecurringAttributes:
        """The attributes of a transaction with that result: its outcome and reply code."""
        return self.result_attributes(CommandResult(result.outcome, result.code))

    def _add_result(self, result: CommandResult) -> RecurringAttributes:
        made = self._make_attributes(result)
        if result.received < MAX_RECURRING_OCTETS and result.sent < MAX_RECURRING_OCTETS:
            if len(self._results) >= MAX_RESULTS:
                self._results.clear()
            self._results[result[:4]] = made
        return made

    def _make_attributes(self, result: CommandResult) -> RecurringAttributes:
        keys = self.keys
        attributes = RecurringAttributes({keys.outcome: result.outcome})
        if result.code:
            attributes[keys.reply_code] = result.code
        if result.received:
            attributes[keys.octets_received] = result.received
        if result.sent:
            attributes[keys.octets_sent] = result.sent
        if result.waited > 0:
            attributes[CLIENT_WAIT] = result.waited
        return attributes

    def session(self, session_id: str, client: Endpoint, server: Endpoint, peer: Endpoint) -> "Session":
        """See `ports.ProtocolTelemetry.session`."""
        endpoints = RecurringAttributes(
            {
                CLIENT_ADDRESS: client.address,
                CLIENT_PORT: client.port,
                SERVER_ADDRESS: server.address,
                SERVER_PORT: server.port,
                NETWORK_PEER_ADDRESS: peer.address,
                NETWORK_PEER_PORT: peer.port,
            }
        )
        return _SESSIONS[self.name](self, session_id, endpoints)


class Session:
    """A connection whose commands are children of its span: one trace per session, as in POP3."""

    command_kind = SpanKind.INTERNAL

    def __init__(self, protocol: ProtocolSpans, session_id: str, endpoints: RecurringAttributes) -> None:
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

    def command(self, verb: str, state: str) -> "Command":
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

    command_kind = SpanKind.SERVER

    def _default_placement(self) -> SpanPlacement:
        return SpanPlacement(head_beside(self._span, self._attributes))


class TracePerTransaction(Session):
    """A connection whose mail transactions (RFC 5321 §3.3) are separate traces, linked to the session's span."""

    def __init__(self, protocol: ProtocolSpans, session_id: str, endpoints: RecurringAttributes) -> None:
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


_SESSIONS: dict[ProtocolName, type[Session]] = {
    "smtp": TracePerTransaction,
    "pop3": Session,
    "imap": TracePerCommand,
}


class Command(CurrentSpan):
    """One command: see `ports.CommandTelemetry`.

    An exception before the reply means that the command failed; a connection error or a cancellation, that it was
    abandoned.
    """

    finished = False
    _failed = False

    def __init__(
        self, session: Session, protocol: ProtocolSpans, metrics: VerbMetrics, span: Span, transaction: Span | None
    ) -> None:
        self.span = span  # without a call of the base class, which costs time
        self.transaction = transaction
        self._session = session
        self._protocol = protocol
        self._metrics = metrics
        self._started = perf_counter()

    def __enter__(self) -> Self:
        self._token = attach_context(Context({SPAN_KEY: self.span, _COMMAND: self}))
        return self

    def fault(self, error: BaseException) -> None:
        """See `ports.CommandTelemetry.fault`."""
        self._failed = True
        super().fault(error)

    def pushed(self, pushed: Pushed) -> None:
        """See `ports.CommandTelemetry.pushed`. Its span is exported at once, and links to the messages' deliveries."""
        protocol, now = self._protocol, time_ns()
        start = min(int(pushed.committed * 1e9) or now, now)
        span = protocol.pushes.start(head_below(self.span, {protocol.keys.octets_sent: pushed.octets}), start)
        for origin in pushed.origins:
            add_link(span, origin)
        span.end(now)
        protocol.metrics.pushed((now - start) / 1e9 if pushed.committed else None, span)

    def injected(self, fault: str) -> None:
        """See `ports.CommandTelemetry.injected`."""
        self.span.set_attribute(INJECTED_FAULT, fault)

    def finish(self, result: CommandResult) -> None:
        """See `ports.CommandTelemetry.finish`."""
        self._seconds = perf_counter() - self._started - result.waited
        self.finished = True
        self._result = self._session.last_result = result
        span = self.span
        if result.linked is not None and self.transaction is not None:
            add_link(self.transaction, result.linked)
        if result.outcome == "failed" and not self._failed:  # else the status names the exception
            span.set_status(Status(StatusCode.ERROR, result.code))
        if isinstance(span, FastSpan):
            span.completion = self
        else:
            span.set_attributes(self.complete())

    def complete(self) -> RecurringAttributes:
        """See `fast.span.Completion.complete`."""
        result, span = self._result, self.span
        self._metrics.record(result.outcome, max(0.0, self._seconds), span)
        self._protocol.metrics.record(result, span)
        return self._protocol.result_attributes(result)

    def exit_early(self, error: BaseException | None) -> None:
        """See `CurrentSpan.exit_early`. What happens after the reply is recorded by `fault`."""
        if not self.finished:
            super().exit_early(error)
            self.finish(CommandResult("failed" if self._failed else ABANDONED))

    def _is_fault(self, error: BaseException) -> bool:
        return super()._is_fault(error) and not isinstance(error, ConnectionError)


def current_command() -> Command | None:
    """The command that is current in the caller's context, if any."""
    command = current_context().get(_COMMAND)
    return command if isinstance(command, Command) else None
