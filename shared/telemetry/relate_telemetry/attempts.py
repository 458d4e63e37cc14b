"""Spans of attempts to send mail to other servers: a trace per attempt, with a child for each step.

with attempts.attempt("there.test", recipients=2, origins=[origin]) as attempt:
    with attempts.step("connect", {"network.peer.address": "192.0.2.1"}) as step:
        ...
    with attempts.step("command.mail") as step:
        step.replied("250", "2.1.0", "2.1.0 Ok")
    attempt.finish("accepted", "2.6.0", "mx.there.test")
"""

from collections.abc import Iterable, Mapping

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.links import add_link
from relate_telemetry.names import (
    RELAY_DESTINATION,
    RELAY_FAILURE,
    RELAY_OUTCOME,
    RELAY_RECIPIENTS,
    RELAY_REPLY_CODE,
    RELAY_REPLY_TEXT,
    RELAY_SERVER,
    RELAY_STATUS,
    relay_span,
)
from relate_telemetry.redaction import hide_keys
from relate_telemetry.spans import SpanTemplate, make_template


class Attempts:
    """The attempts of one process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._attempts = make_template(tracer, relay_span("attempt"), SpanKind.CLIENT)
        self._steps: dict[str, SpanTemplate] = {}  # by name, which is from a fixed table

    def attempt(self, destination: str, recipients: int, origins: Iterable[str | None]) -> "Attempt":
        """Start a trace, linked to the transactions that brought the message: their traceparents."""
        span = self._attempts.start_root({RELAY_DESTINATION: destination, RELAY_RECIPIENTS: recipients})
        for origin in origins:
            add_link(span, origin)
        return Attempt(span)

    def step(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> "Step":
        """Start a step of the current attempt."""
        template = self._steps.get(name) or self._add_step(name)
        return Step(template.start_here(attributes))

    def _add_step(self, name: str) -> SpanTemplate:
        template = self._steps[name] = make_template(self._tracer, relay_span(name), SpanKind.CLIENT)
        return template


class Attempt(CurrentSpan):
    """One attempt. What another server refuses is a result, and no error of ours."""

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
        """Record the outcome, one of `names.RELAY_OUTCOMES`, with an enhanced code and the name of the last server."""
        attributes = {RELAY_OUTCOME: outcome, RELAY_STATUS: status} | ({RELAY_SERVER: server} if server else {})
        self.span.set_attributes(attributes)


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
