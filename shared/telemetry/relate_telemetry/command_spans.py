"""The command seam on the OpenTelemetry SDK: spans in the shape of each protocol, and counts.

Every parent is given explicitly, so a trace has its shape whatever was current before. A command's context carries the
command itself: from there the store's decorators find the transaction and the reader's span, in any task it starts.
"""

import re
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import NamedTuple

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.metrics import Meter
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_NAME, NETWORK_TRANSPORT
from opentelemetry.semconv.attributes.server_attributes import SERVER_PORT
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import SpanScope
from relate_telemetry.links import add_link
from relate_telemetry.metrics import CommandMetrics, ReaderMetrics, SmtpMetrics
from relate_telemetry.names import (
    ABANDONED,
    CLIENT_WAIT,
    OUTCOMES,
    UNKNOWN_OUTCOME,
    UNKNOWN_VERB,
    ProtocolName,
    command_keys,
    command_span,
    push_span,
    session_span,
    transaction_span,
)
from relate_telemetry.ports import CommandResult, Pushed

VERB_LIMIT = 64  # verbs of one protocol: twice what IMAP has with all our extensions; label sets cost memory for good

_VERB = re.compile(r"[A-Z0-9 ]{1,20}")  # the longest that we know is UNAUTHENTICATE
_NOWHERE = Context()
_COMMAND = create_key("relate-command")


class Verb(NamedTuple):
    """A command's name, safe as a label, and its span's name."""

    name: str
    span: str


class Verbs:
    """The verbs of one protocol: parsers hand over names from fixed tables, and this is what holds them to it."""

    def __init__(self, protocol: ProtocolName) -> None:
        self._protocol = protocol
        self._unknown = Verb(UNKNOWN_VERB, command_span(protocol, UNKNOWN_VERB))
        self._known = {UNKNOWN_VERB: self._unknown}

    def find(self, name: str) -> Verb:
        """The verb of that name; what does not look like one, or is one too many, is UNKNOWN."""
        return self._known.get(name) or self._admit(name)

    def _admit(self, name: str) -> Verb:
        if len(self._known) > VERB_LIMIT or not _VERB.fullmatch(name):
            return self._unknown
        return self._known.setdefault(name, Verb(name, command_span(self._protocol, name)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands' spans go: under a parent (nowhere makes each a root), linked, within a transaction or not."""

    parent: Context
    kind: SpanKind = SpanKind.INTERNAL
    links: tuple[Link, ...] = ()
    transaction: Span | None = None


class Pipeline:
    """One protocol's seam: see `seam.ProtocolTelemetry`."""

    def __init__(self, protocol: ProtocolName, tracer: Tracer, meter: Meter) -> None:
        self.protocol = protocol
        self.tracer = tracer
        self.keys = command_keys(protocol)
        self.verbs = Verbs(protocol)
        self.metrics: CommandMetrics = (SmtpMetrics if protocol == "smtp" else ReaderMetrics)(meter, protocol)

    def session(self, session_id: str, client: str, port: int) -> "Session":
        """A connection begins."""
        return _SESSIONS[self.protocol](self, session_id, client, port)


class Session:
    """A connection whose commands are its span's children: one trace a session, as in POP3."""

    def __init__(self, pipeline: Pipeline, session_id: str, client: str, port: int) -> None:
        self._pipeline = pipeline
        self._id = session_id
        self._ended = False
        self.last = CommandResult(ABANDONED)  # what the command that finished last did
        self._span = pipeline.tracer.start_span(
            session_span(pipeline.protocol),
            _NOWHERE,
            SpanKind.SERVER,
            {
                pipeline.keys.session_id: session_id,
                CLIENT_ADDRESS: client,
                SERVER_PORT: port,
                NETWORK_PROTOCOL_NAME: pipeline.protocol,
                NETWORK_TRANSPORT: "tcp",
            },
        )
        self._place = self._home = self._choose_home()
        pipeline.metrics.active.add(1)

    def command(self, verb: str, state: str) -> "Command":
        """Begin a command."""
        pipeline, place = self._pipeline, self._place
        known = pipeline.verbs.find(verb)
        keys = pipeline.keys
        span = pipeline.tracer.start_span(
            known.span,
            place.parent,
            place.kind,
            {keys.session_id: self._id, keys.command: known.name, keys.state: state},
            place.links,
        )
        return Command(self, pipeline, known.name, span, place.transaction)

    def settle(self, in_transaction: bool) -> None:
        """No transactions here."""

    def end(self, reason: str) -> None:
        """The connection is gone; harmless when repeated."""
        if self._ended:
            return
        self._ended = True
        self._span.set_attribute(self._pipeline.keys.end_reason, reason)
        self._span.end()
        self._pipeline.metrics.active.add(-1)

    def _choose_home(self) -> Place:
        return Place(set_span_in_context(self._span, _NOWHERE))

    def _link(self) -> Link:
        return Link(self._span.get_span_context())


class CommandTraces(Session):
    """A connection whose commands are traces of their own, linked to its span: an IMAP session lives for days."""

    def _choose_home(self) -> Place:
        return Place(_NOWHERE, SpanKind.SERVER, (self._link(),))


class TransactionTraces(Session):
    """A connection with mail transactions (RFC 5321 §3.3): each is a trace of its own, linked to the session's span."""

    def command(self, verb: str, state: str) -> "Command":
        """Begin a command; MAIL outside of a transaction begins one."""
        if verb == "MAIL" and self._place is self._home:
            self._place = self._begin()
        return super().command(verb, state)

    def settle(self, in_transaction: bool) -> None:
        """The transaction's span ends when there is none any more."""
        transaction = self._place.transaction
        if transaction is None or in_transaction:
            return
        keys = self._pipeline.keys
        transaction.set_attributes({keys.outcome: self.last.outcome, keys.reply_code: self.last.code})
        transaction.end()
        self._place = self._home

    def end(self, reason: str) -> None:
        """The connection is gone, and with it an open transaction."""
        self.last = CommandResult(ABANDONED)
        self.settle(in_transaction=False)
        super().end(reason)

    def _begin(self) -> Place:
        pipeline = self._pipeline
        span = pipeline.tracer.start_span(
            transaction_span(pipeline.protocol),
            _NOWHERE,
            SpanKind.SERVER,
            {pipeline.keys.session_id: self._id},
            (self._link(),),
        )
        return Place(set_span_in_context(span, _NOWHERE), transaction=span)


_SESSIONS: dict[ProtocolName, type[Session]] = {
    "smtp": TransactionTraces,
    "pop3": Session,
    "imap": CommandTraces,
}


class Command(SpanScope):
    """One command: see `seam.CommandTelemetry`.

    Left by an exception before its reply, it failed; unless the client or a shutdown was the cause: it is abandoned.
    """

    __slots__ = ("_failed", "_finished", "_pipeline", "_session", "_started", "_verb", "transaction")

    def __init__(self, session: Session, pipeline: Pipeline, verb: str, span: Span, transaction: Span | None) -> None:
        super().__init__(span)
        self.transaction = transaction
        self._session = session
        self._pipeline = pipeline
        self._verb = verb
        self._failed = False
        self._finished = False
        self._started = perf_counter()

    def fault(self, error: BaseException) -> None:
        """The command met trouble of ours."""
        self._failed = True
        super().fault(error)

    def pushed(self, pushed: Pushed) -> None:
        """A span of its own, which is seen at once and not when the wait ends, linked to what delivered the news."""
        pipeline, now = self._pipeline, time_ns()
        began = min(int(pushed.committed * 1e9) or now, now)
        span = pipeline.tracer.start_span(
            push_span(pipeline.protocol),
            self._context(),
            SpanKind.PRODUCER,
            {pipeline.keys.octets_sent: pushed.octets},
            start_time=began,
        )
        for origin in pushed.origins:
            add_link(span, origin)
        span.end(now)
        pipeline.metrics.pushed((now - began) / 1e9 if pushed.committed else None)

    def finish(self, done: CommandResult) -> None:
        """The reply is sent."""
        seconds = max(0.0, perf_counter() - self._started - done.waited)
        self._finished = True
        self._session.last = done
        if self.transaction is not None:
            add_link(self.transaction, done.linked)
        if self.span.is_recording():
            self._describe(done)
        outcome = done.outcome if done.outcome in OUTCOMES else UNKNOWN_OUTCOME
        self._pipeline.metrics.record(self._verb, outcome, done, seconds)

    def _context(self) -> Context:
        return set_span_in_context(self.span, Context({_COMMAND: self}))

    def _leave(self, error: BaseException | None) -> None:
        if self._finished:
            return
        super()._leave(error)
        self.finish(CommandResult("failed" if self._failed else ABANDONED))

    def _is_trouble(self, error: BaseException) -> bool:
        return super()._is_trouble(error) and not isinstance(error, ConnectionError)

    def _describe(self, done: CommandResult) -> None:
        keys = self._pipeline.keys
        attributes: dict[str, AttributeValue] = {keys.outcome: done.outcome}
        if done.code:
            attributes[keys.reply_code] = done.code
        if done.received:
            attributes[keys.octets_received] = done.received
        if done.sent:
            attributes[keys.octets_sent] = done.sent
        if done.waited > 0:
            attributes[CLIENT_WAIT] = done.waited
        self.span.set_attributes(attributes)
        if done.outcome == "failed":
            self._mark_failed(done.code)

    def _mark_failed(self, code: str) -> None:
        status = Status(StatusCode.ERROR, code)
        if not self._failed:  # an exception that was told says more
            self.span.set_status(status)
        if self.transaction is not None:
            self.transaction.set_status(status)


def current_command() -> Command | None:
    """The command in whose context the caller runs, if any."""
    command = get_value(_COMMAND)
    return command if isinstance(command, Command) else None
