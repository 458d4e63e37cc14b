"""Links to spans of other traces, by a traceparent (W3C Trace Context §3.2) that was stored or received."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

MAX_LINKS = 32  # of one span: a FETCH of a whole mailbox need not link to every message's origin

_W3C = TraceContextTextMapPropagator()
_EMPTY = Context()


def add_link(span: Span, traceparent: str | None) -> None:
    """Link a span to another one, once. A malformed traceparent, and links beyond MAX_LINKS, are ignored."""
    if traceparent is None or not isinstance(span, ReadableSpan) or not span.is_recording():
        return
    links = span.links
    if len(links) >= MAX_LINKS:
        return
    context = _parse_traceparent(traceparent)
    if context is not None and all(context.span_id != link.context.span_id for link in links):
        span.add_link(context)


def _parse_traceparent(traceparent: str) -> SpanContext | None:
    carrier = {"traceparent": traceparent}
    context = get_current_span(_W3C.extract(carrier, _EMPTY)).get_span_context()
    return context if context.is_valid else None
