"""Spans at a quarter of the SDK's cost, which are its spans to everybody else.

What costs is what ours do not need: a lock, two lists and an attribute container with limits a span, a sampler that
always says yes, a copy at the end. A lean span has a dictionary, and turns stock as soon as more is asked of it.
Where somebody chose a sampler, limits or a processor of their own, the SDK makes the spans: they get what they expect.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import AnyValue, Attributes

from relate_telemetry.export.queue import SpanQueue
from relate_telemetry.redaction import LONG_TEXTS, STATEMENTS, UNKNOWN, Redaction

LIMIT = 128  # attributes and links of a span, the SDK's own: from there on it decides what is dropped

_PLAIN = frozenset({str, bool, int, float, bytes, type(None)})  # values that the SDK takes as they are
_ONLOOKERS = frozenset({SpanQueue, Redaction, SimpleSpanProcessor})  # processors that need nothing but ended spans
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_RANDOM = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_UNSET = Status(StatusCode.UNSET)


class LeanProvider(TracerProvider):
    """The SDK's provider. Its tracers make lean spans for as long as nobody would notice."""

    def __init__(self, sampler: Sampler | None, resource: Resource) -> None:
        super().__init__(sampler, resource, shutdown_on_exit=False)
        self.is_lean = sampler is ALWAYS_ON and not any(map(_is_choice, os.environ))

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor; one that is not ours is given spans of the SDK's own make from now on."""
        self.is_lean = self.is_lean and type(span_processor) in _ONLOOKERS
        super().add_span_processor(span_processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> AnyTracer:
        """A tracer; those of one scope share the SDK's."""
        stock = super().get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        return LeanTracer(self, stock) if isinstance(stock, Tracer) else stock


def _is_choice(variable: str) -> bool:
    """Whether a variable asks for limits, or for metrics about spans."""
    return variable.startswith("OTEL_") and variable.endswith(("_LIMIT", "_INTERNAL_METRICS_ENABLED"))


class LeanTracer(AnyTracer):
    """Makes lean spans, or has the SDK's tracer make its own."""

    def __init__(self, provider: LeanProvider, stock: Tracer) -> None:
        self._provider = provider
        self._stock = stock
        self._ids = stock.id_generator

    start_as_current_span = Tracer.start_as_current_span  # it knows of a tracer no more than its start_span

    def start_span(  # noqa: PLR0917 - the SDK's own signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> AnySpan:
        """Start a span, as Tracer.start_span does."""
        parent = get_current_span(context).get_span_context()
        if not self._provider.is_lean or type(parent) is not SpanContext or not self._stock._is_enabled():
            return self._stock.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        span = LeanSpan(self._stock, name, self._context(parent), parent if parent.is_valid else None, kind)
        if attributes:
            span.set_attributes(attributes)
        if links:
            span._take_links(links)
        if not (record_exception and set_status_on_exception):
            span._record_exception, span._set_status_on_exception = record_exception, set_status_on_exception
        span._start_time = time_ns() if start_time is None else start_time
        return span

    def _context(self, parent: SpanContext) -> SpanContext:
        """The context of a new span; its trace is a new one unless there is a parent."""
        ids = self._ids
        if parent.is_valid:
            random, trace_id, state = parent.trace_flags.random_trace_id, parent.trace_id, parent.trace_state
        else:
            random, trace_id, state = ids.is_trace_id_random(), ids.generate_trace_id(), None
        return SpanContext(trace_id, ids.generate_span_id(), False, _SAMPLED_RANDOM if random else _SAMPLED, state)


class LeanSpan(Span):
    """A span of the SDK with the dear parts left out until they are needed: the names are those of its own fields."""

    _context: SpanContext
    _attributes: Any
    _events: Any = ()
    _links: Any = ()
    _status = _UNSET
    _end_time: int | None = None
    _record_exception = True
    _set_status_on_exception = True
    characters = 0
    """Of its attributes' texts, statements left out: where they are few, nobody has to look for a long one."""

    def __init__(
        self, tracer: Tracer, name: str, context: SpanContext, parent: SpanContext | None, kind: SpanKind
    ) -> None:
        self._span_processor = tracer.span_processor
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._resource = tracer.resource
        self._instrumentation_scope = tracer._instrumentation_scope
        self._instrumentation_info = tracer.instrumentation_info
        self._limits = tracer._span_limits
        self._lock = threading.Lock()
        self._attributes = {}

    def get_span_context(self) -> SpanContext:
        """What others need to point to it."""
        return self._context

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set an attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set attributes; one that is set again moves to the end."""
        own = self._attributes
        if self._end_time is not None or type(own) is not dict or not _fit(own, attributes):
            self._become_stock()
            super().set_attributes(attributes)
            return
        characters = 0
        for key, value in attributes.items():
            if key in own:
                del own[key]
            own[key] = value
            if type(value) is str and ((length := len(value)) < LONG_TEXTS or key not in STATEMENTS):
                characters += length
        self.characters += characters

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link it to another one."""
        links = self._links
        plain = type(links) is tuple and len(links) < LIMIT and not attributes and context.is_valid
        if plain and self._end_time is None:
            self._links = (*links, Link(context))
        else:
            super().add_link(context, attributes)

    def end(self, end_time: int | None = None) -> None:
        """End it. Processors get the span itself: nothing changes it any more."""
        if self._end_time is not None:
            super().end(end_time)  # says so
            return
        self._end_time = time_ns() if end_time is None else end_time
        if type(self._attributes) is not dict:
            self._attributes._immutable = True
        self._span_processor._on_ending(self)
        self._span_processor.on_end(self)

    def _become_stock(self) -> None:
        if type(self._attributes) is dict:
            self._attributes = BoundedAttributes(LIMIT, self._attributes, immutable=False)
            self.characters = UNKNOWN

    def _take_links(self, links: Sequence[Link]) -> None:
        plain = all(link.context.is_valid and not link.attributes for link in links)
        self._links = tuple(links) if plain and len(links) <= LIMIT else self._new_links(links)

    def _add_event(self, event: Any) -> None:
        if not self._events:
            self._events = BoundedList(self._limits.max_events)
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        if type(self._links) is tuple:
            self._links = BoundedList.from_seq(self._limits.max_links, self._links)
        super()._add_link(link)


def _fit(own: Mapping[str, AnyValue], attributes: Mapping[str, AnyValue]) -> bool:
    """Whether the SDK would take these as they are."""
    for key, value in attributes.items():
        if type(value) not in _PLAIN or type(key) is not str or not key:
            return False
    return len(own) + len(attributes) <= LIMIT
