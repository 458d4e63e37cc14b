"""Links to spans of other traces, by a traceparent (W3C Trace Context §3.2) that was stored or received."""

import re
from functools import lru_cache

from opentelemetry.trace import Span, SpanContext, TraceFlags

from relate_telemetry.fast.span import SAMPLED, FastSpan, is_new

MAX_LINKS = 32  # of one span: a FETCH of a whole mailbox need not link to every message's origin

# Version ff is forbidden; a later version than 00 may append fields.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def add_link(span: Span, traceparent: str | None) -> None:
    """Link a span to another one, once. Ignores a malformed traceparent, one that is not sampled, and more links.

    Links beyond MAX_LINKS are ignored. A span that is not sampled is not exported, so that a link to it leads nowhere.
    """
    context = None if traceparent is None else parse_traceparent(traceparent)
    if context is None or not context.trace_flags.sampled or not span.is_recording():
        return
    if isinstance(span, FastSpan):
        span.link_once(context, MAX_LINKS)
        return
    links = getattr(span, "links", None)  # the API does not read spans
    if links is not None and len(links) < MAX_LINKS and is_new(context, links):
        span.add_link(context)


@lru_cache(1024)  # the deliveries of a batch link to the same span, and so do the readers of a message
def parse_traceparent(traceparent: str) -> SpanContext | None:
    """The span that a traceparent names, None if it is malformed."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match[1] == "00" and match[5]):
        return None
    flags = TraceFlags(int(match[4], 16))
    context = SpanContext(int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


def format_traceparent(span: Span) -> str | None:
    """The traceparent of a span, None for one that is not valid."""
    if isinstance(span, FastSpan):
        return f"00-{span.trace_id.hex()}-{span.span_id.hex()}-{SAMPLED:02x}"
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
