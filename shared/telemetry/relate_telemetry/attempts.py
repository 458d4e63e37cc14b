"""Attempts to send mail to other servers: a trace per attempt, with a child for each step, and their metrics.

with attempts.attempt("there.test", recipients=2, origins=[origin]) as attempt:
    with attempts.step("connect", {"network.peer.address": "192.0.2.1"}) as step:
        ...
    with attempts.step("command.mail") as step:
        step.replied("250", "2.1.0", "2.1.0 Ok")
    attempt.finish("accepted", "2.6.0", "mx.there.test")
    attempt.count("accepted", 250, "2.6.0")
"""

import time
from collections.abc import Iterable, Mapping

from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
)
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.links import add_link
from relate_telemetry.names import (
    RELAY_DESTINATION,
    RELAY_FAILURE,
    RELAY_RECIPIENTS,
    RELAY_REPLY_CODE,
    RELAY_REPLY_TEXT,
    RELAY_SERVER,
    RELAY_STATUS,
    relay_span,
)
from relate_telemetry.redaction import hide_keys
from relate_telemetry.relay_metrics import RelayMetrics
from relate_telemetry.relay_names import OUTCOME, STS_MODE, TLS_RESULT, UNSIGNED_REASON
from relate_telemetry.spans import SpanTemplate, make_template


class Attempts:
    """The attempts of one process."""

    def __init__(self, tracer: Tracer, metrics: RelayMetrics) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._attempts = make_template(tracer, relay_span("attempt"), SpanKind.CLIENT)
        self._steps: dict[str, SpanTemplate] = {}  # by name, which is from a fixed table

    def attempt(self, destination: str, recipients: int, origins: Iterable[str | None]) -> "Attempt":
        """Start a trace, linked to the transactions that brought the message: their traceparents."""
        span = self._attempts.start_root({RELAY_DESTINATION: destination, RELAY_RECIPIENTS: recipients})
        for origin in origins:
            add_link(span, origin)
        return Attempt(span, self._metrics)

    def step(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> "Step":
        """Start a step of the current attempt."""
        template = self._steps.get(name) or self._add_step(name)
        return Step(template.start_here(attributes))

    def unsigned(self, reason: str) -> None:
        """Record that the message of the current attempt gets no signature: one of `relay_names.UNSIGNED_REASONS`."""
        span = get_current_span()
        span.set_attribute(UNSIGNED_REASON, reason)
        self._metrics.unsigned(reason, span)

    def _add_step(self, name: str) -> SpanTemplate:
        template = self._steps[name] = make_template(self._tracer, relay_span(name), SpanKind.CLIENT)
        return template


class Attempt(CurrentSpan):
    """One attempt. What another server refuses is a result, and no error of ours."""

    def __init__(self, span: Span, metrics: RelayMetrics) -> None:
        super().__init__(span)
        self._metrics = metrics
        self._began = time.monotonic()

    @property
    def trace_id(self) -> str:
        """The id of its trace, in hexadecimal; empty without telemetry."""
        context = self.span.get_span_context()
        return format_trace_id(context.trace_id) if context.is_valid else ""

    @property
    def span_id(self) -> str:
        """The id of its span, in hexadecimal; empty without telemetry."""
        context = self.span.get_span_context()
        return format_span_id(context.span_id) if context.is_valid else ""

    def finish(self, outcome: str, status: str, server: str) -> None:
        """Record the outcome, one of `relay_names.OUTCOMES`, with an enhanced code and the name of the last server."""
        attributes = {OUTCOME: outcome, RELAY_STATUS: status} | ({RELAY_SERVER: server} if server else {})
        self.span.set_attributes(attributes)
        self._metrics.attempted(outcome, time.monotonic() - self._began, self.span)

    def count(self, outcome: str, reply_code: int, status: str) -> None:
        """Count a recipient: see `RelayMetrics.recipient`."""
        self._metrics.recipient(outcome, reply_code, status, self.span)

    def delivered(self, seconds: float) -> None:
        """Record the seconds from the arrival of a message to its acceptance for a recipient."""
        self._metrics.delivered(seconds, self.span)

    def sent(self, security: str) -> None:
        """Count the message for a server that accepted it: one of `relay_names.TLS_SECURITIES`."""
        self._metrics.sent(security, self.span)

    def sts_session(self, mode: str, result: str) -> None:
        """Record what became of an MTA-STS policy: see `RelayMetrics.session`."""
        self.span.set_attributes({STS_MODE: mode, TLS_RESULT: result})
        self._metrics.session(mode, result, self.span)


class Step(CurrentSpan):
    """One step: a question to the DNS, a connection, a handshake, a command."""

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add what becomes known during the step."""
        self.span.set_attributes(attributes)

    def replied(self, code: str, status: str, text: str) -> None:
        """Record the reply of the other server: its code, its enhanced code or an empty text, and its words."""
        attributes: dict[str, AttributeValue] = {RELAY_REPLY_CODE: code, RELAY_REPLY_TEXT: hide_keys(text)}
        if status:
            attributes[RELAY_STATUS] = status
        self.span.set_attributes(attributes)

    def failed(self, reason: str) -> None:
        """Record why there is no reply."""
        self.span.set_attribute(RELAY_FAILURE, reason)
        self.span.set_status(Status(StatusCode.ERROR, reason))

    def _is_fault(self, error: BaseException) -> bool:
        return False  # `failed` tells the reason, and the attempt records what is unexpected
