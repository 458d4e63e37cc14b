"""A `Span` subclass that costs a quarter of the SDK's, and the provider and tracer that make it.

The SDK's span costs a lock, two lists, a container that checks attributes against limits, a sampler, and a copy at the
end. A fast span keeps attributes in a plain dict, and switches to the SDK's containers on the first event, sequence
value or limit. Processors and exporters cannot tell the difference. A provider with a sampler, a limit or a processor
that is not ours makes the SDK's spans.
"""

import os
from collections.abc import Mapping, Sequence
from time import time_ns

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, get_current_span
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import AnyValue, Attributes

from relate_telemetry.export.queue import SpanQueue
from relate_telemetry.redaction import STATEMENT_KEYS, UNCHECKED_CHARACTERS, UNKNOWN_CHARACTERS, Redaction
from relate_telemetry.sdk_internals import SpanFields, close_attributes, enabled_check, is_tested, notify_ending

MAX_ITEMS = 128  # attributes and links of a span, the SDK's own limits: beyond them it decides what is dropped

_PLAIN_TYPES = frozenset({str, bool, int, float, bytes, type(None)})  # of values that the SDK takes unchanged
_OWN_PROCESSORS = frozenset({SpanQueue, Redaction, SimpleSpanProcessor})  # they use ended spans only
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_RANDOM = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


class FastTracerProvider(TracerProvider):
    """The SDK's provider, whose tracers make fast spans as long as no sampler, limit or processor needs the SDK's."""

    def __init__(self, sampler: Sampler | None, resource: Resource) -> None:
        super().__init__(sampler, resource, shutdown_on_exit=False)
        self.makes_fast_spans = is_tested() and sampler is ALWAYS_ON and not any(map(_needs_stock_spans, os.environ))

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor. With one that is not ours, the SDK makes the spans from now on."""
        self.makes_fast_spans = self.makes_fast_spans and type(span_processor) in _OWN_PROCESSORS
        super().add_span_processor(span_processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> AnyTracer:
        """Return a tracer that makes fast spans, or the SDK's. Tracers of one scope share the SDK's tracer."""
        stock = super().get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        return FastTracer(self, stock) if self.makes_fast_spans and isinstance(stock, Tracer) else stock


def _needs_stock_spans(variable: str) -> bool:
    """Whether an environment variable sets limits, or turns on metrics about spans."""
    return variable.startswith("OTEL_") and variable.endswith(("_LIMIT", "_INTERNAL_METRICS_ENABLED"))


class FastTracer(AnyTracer):
    """Makes fast spans, or has the SDK's tracer make its own."""

    def __init__(self, provider: FastTracerProvider, stock: Tracer) -> None:
        self._provider = provider
        self._stock = stock
        self._is_enabled = enabled_check(stock)
        self._ids = stock.id_generator

    start_as_current_span = Tracer.start_as_current_span  # it uses nothing of a tracer but start_span

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
        """Start a span, as `Tracer.start_span` does."""
        parent = get_current_span(context).get_span_context()
        if not self._provider.makes_fast_spans or type(parent) is not SpanContext or not self._is_enabled():
            return self._stock.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        span = FastSpan(self._stock, name, self._new_context(parent), parent if parent.is_valid else None, kind)
        if attributes:
            span.set_attributes(attributes)
        if links:
            span.set_links(links)
        if not (record_exception and set_status_on_exception):
            span._record_exception, span._set_status_on_exception = record_exception, set_status_on_exception
        span._start_time = time_ns() if start_time is None else start_time
        return span

    def _new_context(self, parent: SpanContext) -> SpanContext:
        """The context of a new span, in the trace of its parent; in a new trace without a parent."""
        ids = self._ids
        if parent.is_valid:
            random, trace_id, state = parent.trace_flags.random_trace_id, parent.trace_id, parent.trace_state
        else:
            random, trace_id, state = ids.is_trace_id_random(), ids.generate_trace_id(), None
        return SpanContext(trace_id, ids.generate_span_id(), False, _SAMPLED_RANDOM if random else _SAMPLED, state)


class FastSpan(SpanFields):
    """A span of the SDK whose expensive containers are made only when they are needed."""

    characters = 0
    """In texts of attributes, statements left out: where there are few, no text needs to be checked."""

    def get_span_context(self) -> SpanContext:
        """See `Span.get_span_context`."""
        return self._context

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """See `Span.set_attribute`."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set attributes; one that is set again moves to the end."""
        own = self._attributes
        if self._end_time is not None or type(own) is not dict or not _are_plain(own, attributes):
            self._use_stock_attributes()
            super().set_attributes(attributes)
            return
        characters = 0
        for key, value in attributes.items():
            if key in own:
                del own[key]
            own[key] = value
            if type(value) is str and ((length := len(value)) < UNCHECKED_CHARACTERS or key not in STATEMENT_KEYS):
                characters += length
        self.characters += characters

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """See `Span.add_link`."""
        links = self._links
        plain = type(links) is tuple and len(links) < MAX_ITEMS and not attributes and context.is_valid
        if plain and self._end_time is None:
            self._links = (*links, Link(context))
        else:
            super().add_link(context, attributes)

    def set_links(self, links: Sequence[Link]) -> None:
        """Set the links of a new span."""
        plain = all(link.context.is_valid and not link.attributes for link in links)
        self._links = tuple(links) if plain and len(links) <= MAX_ITEMS else self.make_links(links)

    def end(self, end_time: int | None = None) -> None:
        """End the span. Processors get the span itself, not a copy, because nothing changes it any more."""
        if self._end_time is not None:
            super().end(end_time)  # logs a warning
            return
        self._end_time = time_ns() if end_time is None else end_time
        if type(self._attributes) is not dict:
            close_attributes(self._attributes)
        notify_ending(self._span_processor, self)
        self._span_processor.on_end(self)

    def prepare_events(self) -> None:
        """See `SpanFields.prepare_events`."""
        if not self._events:
            self._events = BoundedList(self._limits.max_events)

    def prepare_links(self) -> None:
        """See `SpanFields.prepare_links`."""
        if type(self._links) is tuple:
            self._links = BoundedList.from_seq(self._limits.max_links, self._links)

    def _use_stock_attributes(self) -> None:
        if type(self._attributes) is dict:
            self._attributes = BoundedAttributes(MAX_ITEMS, self._attributes, immutable=False)
            self.characters = UNKNOWN_CHARACTERS


def _are_plain(own: Mapping[str, AnyValue], attributes: Mapping[str, AnyValue]) -> bool:
    """Whether the SDK would take these attributes unchanged, beside those that the span has."""
    for key, value in attributes.items():
        if type(value) not in _PLAIN_TYPES or type(key) is not str or not key:
            return False
    return len(own) + len(attributes) <= MAX_ITEMS
