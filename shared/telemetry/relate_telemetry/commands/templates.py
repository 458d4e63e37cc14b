"""Templates of the spans of commands, sessions and transactions, which are made once per protocol, verb and state."""

import re
from typing import NamedTuple

from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_NAME, NETWORK_TRANSPORT
from opentelemetry.trace import SpanKind, Tracer

from relate_telemetry.metrics import CommandMetrics, Instruments, ReaderMetrics, SmtpMetrics, VerbMetrics
from relate_telemetry.names import (
    CLIENT_WAIT,
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
from relate_telemetry.ports import CommandResult
from relate_telemetry.spans import RecurringAttributes, SpanTemplate, make_template

MAX_VERBS = 64  # of one protocol: twice as many as IMAP has with our extensions; label sets stay in memory

MAX_RECURRING_OCTETS = 1024  # received or sent: sizes above are seldom the same
MAX_RESULTS = 2048  # of one protocol; their attributes take some 1 MB

_VERB = re.compile(r"[A-Z0-9 ]{1,20}")  # the longest verb is UNAUTHENTICATE
# A command is a trace of its own in IMAP: see `sessions.TracePerCommand`.
_COMMAND_KINDS: dict[ProtocolName, SpanKind] = {
    "smtp": SpanKind.INTERNAL,
    "pop3": SpanKind.INTERNAL,
    "imap": SpanKind.SERVER,
}


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


class ProtocolTemplates:
    """Templates of the spans of one protocol, and its metrics."""

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

    def add_command(self, verb: str, state: str) -> CommandTemplate:
        """The template of a command whose verb and state are not in `commands` yet, or that is unknown."""
        known = self.verbs.find(verb)
        if known.name != verb:
            return self.commands.get((known.name, state)) or self.add_command(known.name, state)
        kind, attributes = _COMMAND_KINDS[self.name], {self.keys.command: verb, self.keys.state: state}
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
