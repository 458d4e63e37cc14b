"""Links to spans of other traces, by the traceparent (W3C Trace Context §3.2) that somebody kept or sent."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

LINK_LIMIT = 32  # links of one span: a FETCH of a whole mailbox need not name every message's origin

_W3C = TraceContextTextMapPropagator()
_NOWHERE = Context()


def add_link(span: Span, traceparent: str | None) -> None:
    """Link a span to another one, once; what is malformed, or one link too many, is ignored."""
    if traceparent is None or not isinstance(span, ReadableSpan) or not span.is_recording():
        return
    links = span.links
    if len(links) >= LINK_LIMIT:
        return
    context = _parse_traceparent(traceparent)
    if context is not None and all(context.span_id != link.context.span_id for link in links):
        span.add_link(context)


def _parse_traceparent(traceparent: str) -> SpanContext | None:
    carrier = {"traceparent": traceparent}
    context = get_current_span(_W3C.extract(carrier, _NOWHERE)).get_span_context()
    return context if context.is_valid else None
