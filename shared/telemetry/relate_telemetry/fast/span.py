"""Spans that are octets from the start: the tracer provider of the fast pipeline.

The SDK makes some twenty objects per span, and its exporter encodes them later. A fast span is its ids, its start and
those attributes that are not known beforehand. Its end joins them with octets that are: those of its template (name,
kind, attributes) and of its head (trace, parent, links, session id). What is rare, such as an event, a status or a
value of an unusual type, makes it an SDK span (`FastSpan._stock`), so that the SDK's rules and limits apply.
"""

import logging
import sys
from collections.abc import Mapping
from random import randbytes
from time import perf_counter, time_ns
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import AnyValue, Attributes, AttributeValue

from relate_telemetry.fast.encoder import (
    AttributeEncoder,
    encode_child,
    encode_link,
    encode_root,
    encode_span,
    encode_span_flags,
    encode_template,
    encode_times,
    number_origin,
)
from relate_telemetry.redaction import Redaction
from relate_telemetry.sampling import Sampling
from relate_telemetry.spans import RecurringAttributes, SpanHead, StockTemplate, TemplateTracer

HEAD_ATTRIBUTES = 8  # at most, of a head: near the limit of a span's attributes the SDK decides what is dropped

_NONE = RecurringAttributes()
_SAMPLED = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_UNSAMPLED = TraceFlags(TraceFlags.RANDOM_TRACE_ID)
_FLAGS = encode_span_flags(_SAMPLED)

_logger = logging.getLogger(__name__)


class SpanSink(Protocol):
    """Takes ended spans, encoded by `encoder`."""

    def put(self, span: bytes) -> None:
        """Take one span."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export all spans. Return whether that was done in time."""


class FastTracerProvider(TracerProvider):
    """The SDK's provider, whose templates make fast spans until a processor is added.

    Without a sink, no span is made, but ids are.
    """

    def __init__(self, resource: Resource, sampling: Sampling, sink: SpanSink | None) -> None:
        self.limits = SpanLimits()
        super().__init__(sampling.sampler, resource, shutdown_on_exit=False, span_limits=self.limits)
        redaction = Redaction(self.limits.max_span_attribute_length)
        super().add_span_processor(redaction)
        if sink is not None:
            super().add_span_processor(_EncodingProcessor(sink))
        self.makes_fast_spans = True
        self.sink = sink
        self.sampling = sampling
        self.encoder = AttributeEncoder(redaction.redact_value)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor. From now on the SDK makes the spans, because a processor may do anything with them."""
        self.makes_fast_spans = False
        super().add_span_processor(span_processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> AnyTracer:
        """Return a tracer whose templates make fast spans; `start_span` makes the SDK's."""
        stock = super().get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        if not isinstance(stock, Tracer):  # OTEL_SDK_DISABLED
            return stock
        scope = InstrumentationScope(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        return FastTracer(self, stock, scope)


class _EncodingProcessor(SpanProcessor):
    """Encodes the spans that the SDK made."""

    def __init__(self, sink: SpanSink) -> None:
        self._sink = sink

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._sink.put(encode_span(span))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._sink.force_flush(timeout_millis)


class FastTracer(TemplateTracer):
    """The SDK's tracer, with templates that make fast spans."""

    def __init__(self, provider: FastTracerProvider, stock: Tracer, scope: InstrumentationScope) -> None:
        self._provider = provider
        self._stock = stock
        self._scope = scope

    def start_span(self, name: str, *arguments: Any, **options: Any) -> Span:
        """See `Tracer.start_span`: the SDK makes the span."""
        return self._stock.start_span(name, *arguments, **options)

    def start_as_current_span(self, name: str, *arguments: Any, **options: Any) -> Any:
        """See `Tracer.start_as_current_span`: the SDK makes the span."""
        return self._stock.start_as_current_span(name, *arguments, **options)

    def make_template(self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> "FastTemplate":
        """See `TemplateTracer.make_template`."""
        return FastTemplate(self._provider, self._stock, self._scope, name, kind, attributes)


class FastTemplate:
    """A template that makes fast spans, or the SDK's."""

    def __init__(  # noqa: PLR0917 - what a span consists of
        self,
        provider: FastTracerProvider,
        tracer: Tracer,
        scope: InstrumentationScope,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.provider = provider
        self.tracer = tracer
        self.scope = scope
        self.max_links = _limit(provider.limits.max_links)
        self.keys = frozenset(attributes)
        self.max_attributes = _limit(provider.limits.max_span_attributes) - len(attributes) - HEAD_ATTRIBUTES
        self.put = provider.sink.put if provider.sink else _discard
        self.encode_attributes = provider.encoder.encode
        prepared = {key: provider.encoder.prepare(key, value) for key, value in attributes.items()}
        self.encoded = number_origin(provider.resource, scope) + encode_template(name, kind, prepared)
        self._stock = StockTemplate(tracer, name, kind, attributes)

    def start(self, head: SpanHead, start_time: int | None = None) -> Span:
        """See `SpanTemplate.start`."""
        provider = self.provider
        if not provider.makes_fast_spans:
            return self._stock.start(head, start_time)
        span = head.span
        if type(span) is not FastSpan:
            return self._start_at(head, start_time)
        if head.is_below:
            return FastSpan(self, head, span.trace_id, head.encoded or self._encode_head(head), start_time)
        return self._start_beside(head, start_time)

    def _start_at(self, head: SpanHead, start_time: int | None) -> Span:
        """Start a span at a span that is not fast: one of the SDK, or one that is not made."""
        parent = head.parent
        if self.provider.sink is None or not head.span.get_span_context().trace_flags.sampled:
            return UnmadeSpan(parent.trace_id.to_bytes(16) if parent else randbytes(16))  # noqa: S311 - distinct, not secret
        if parent is None:
            return self._start_beside(head, start_time)
        return FastSpan(self, head, parent.trace_id.to_bytes(16), head.encoded or self._encode_head(head), start_time)

    def _start_beside(self, head: SpanHead, start_time: int | None) -> "FastSpan":
        trace_id = randbytes(16)  # noqa: S311 - distinct, not secret
        place = encode_root(trace_id, _FLAGS) + (head.encoded or self._encode_head(head))
        return FastSpan(self, head, trace_id, place, start_time)

    def start_root(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_root`."""
        if not self.provider.makes_fast_spans:
            return self._stock.start_root(attributes)
        return self._start_below(INVALID_SPAN_CONTEXT, attributes)

    def start_here(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_here`."""
        provider, parent = self.provider, get_current_span()
        if not provider.makes_fast_spans:
            return self._stock.start_here(attributes)
        if type(parent) is FastSpan:
            trace_id = parent.trace_id
            place = encode_child(trace_id, parent.span_id, _FLAGS)
            return FastSpan(self, parent, trace_id, place, None, attributes)
        return self._start_below(parent.get_span_context(), attributes)

    def _encode_head(self, head: SpanHead) -> bytes:
        """The octets of a head: those of children contain their trace and parent."""
        head.encoded = self.encode_attributes(head.attributes) + b"".join(map(encode_link, head.links))
        if head.is_below:
            trace_id, span_id = _ids(head.span)
            head.encoded += encode_child(trace_id, span_id, _FLAGS)
        return head.encoded

    def _start_below(self, parent: SpanContext, attributes: Attributes) -> Span:
        """Start a span below one of the SDK, below an unmade one, or as a root."""
        if parent.is_valid and (parent.trace_state or not parent.trace_flags.random_trace_id):  # of another tracer
            return self._stock.start_here(attributes)
        provider = self.provider
        trace_id = parent.trace_id.to_bytes(16) if parent.is_valid else randbytes(16)  # noqa: S311 - distinct, not secret
        if provider.sink is None or not provider.sampling.samples(trace_id, parent if parent.is_valid else None):
            return UnmadeSpan(trace_id)
        if not parent.is_valid:
            return FastSpan(self, None, trace_id, encode_root(trace_id, _FLAGS), None, attributes)
        flags = encode_span_flags(_SAMPLED, is_remote=parent.is_remote)
        place = encode_child(trace_id, parent.span_id.to_bytes(8), flags)
        return FastSpan(self, parent, trace_id, place, None, attributes)


def _ids(span: Span) -> tuple[bytes, bytes]:
    if type(span) is FastSpan:
        return span.trace_id, span.span_id
    context = span.get_span_context()
    return context.trace_id.to_bytes(16), context.span_id.to_bytes(8)


def _limit(limit: int | None) -> int:
    return sys.maxsize if limit is None else limit


def _discard(octets: bytes) -> None:
    """Receive a span where none is exported."""


class UnmadeSpan(Span):
    """The ids of a span that is not sampled, or not exported. Stored origins and log lines still need them."""

    __slots__ = ("_context", "span_id", "trace_id")

    def __init__(self, trace_id: bytes) -> None:
        self.trace_id = trace_id
        self.span_id = randbytes(8)  # noqa: S311 - distinct, not secret
        self._context: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """See `Span.get_span_context`."""
        context = self._context
        if context is None:
            trace_id, span_id = int.from_bytes(self.trace_id), int.from_bytes(self.span_id)
            context = self._context = SpanContext(trace_id, span_id, False, _UNSAMPLED)
        return context

    def is_recording(self) -> bool:
        """See `Span.is_recording`."""
        return False

    def end(self, end_time: int | None = None) -> None:
        """See `Span.end`."""

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """See `Span.set_attributes`."""

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """See `Span.set_attribute`."""

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """See `Span.add_link`."""

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """See `Span.add_event`."""

    def update_name(self, name: str) -> None:
        """See `Span.update_name`."""

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """See `Span.set_status`."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See `Span.record_exception`."""


class FastSpan(Span):
    """A span whose octets are joined at its end."""

    __slots__ = (
        "_attributes",
        "_began",
        "_context",
        "_ended",
        "_links",
        "_made",
        "_origin",
        "_place",
        "_start_time",
        "_template",
        "span_id",
        "trace_id",
    )

    def __init__(  # noqa: PLR0917 - by position, because keywords cost time
        self,
        template: FastTemplate,
        origin: "SpanHead | FastSpan | SpanContext | None",
        trace_id: bytes,
        place: bytes,
        start_time: int | None = None,
        attributes: Attributes = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = randbytes(8)  # noqa: S311 - distinct, not secret
        self._template = template
        self._origin = origin  # from where its parent is known
        self._place = place  # the octets of it
        self._attributes: dict[str, Any] = dict(attributes) if attributes else _NONE
        self._links: tuple[Link, ...] = ()
        self._context: SpanContext | None = None
        self._made: SdkSpan | None = None
        self._ended = False
        # An end by the monotonic clock, because the system's clock may be set while the span lasts.
        self._began = perf_counter() if start_time is None else None
        self._start_time = time_ns() if start_time is None else start_time

    def get_span_context(self) -> SpanContext:
        """See `Span.get_span_context`."""
        context = self._context
        if context is None:
            trace_id, span_id = int.from_bytes(self.trace_id), int.from_bytes(self.span_id)
            context = self._context = SpanContext(trace_id, span_id, False, _SAMPLED)
        return context

    def is_recording(self) -> bool:
        """See `Span.is_recording`."""
        return not self._ended

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """See `Span.set_attributes`."""
        if self._made is not None or self._ended:
            self._stock().set_attributes(attributes)
            return
        own = self._attributes
        if not own:
            self._attributes = attributes if type(attributes) is RecurringAttributes else dict(attributes)
            return
        self._attributes = {key: value for key, value in own.items() if key not in attributes}
        self._attributes.update(attributes)  # one that is set again is the newest, also for a limit

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """See `Span.set_attribute`."""
        self.set_attributes({key: value})

    @property
    def links(self) -> tuple[Link, ...]:
        """The links of the span, those of its head first."""
        if self._made is not None:
            return tuple(self._made.links)
        return (*self._origin.links, *self._links) if isinstance(self._origin, SpanHead) else self._links

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """See `Span.add_link`."""
        limit = self._template.max_links
        if self._ended or self._made is not None or attributes or not context.is_valid or len(self.links) >= limit:
            self._stock().add_link(context, attributes)
        else:
            self._links = (*self._links, Link(context))

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """See `Span.add_event`."""
        self._stock().add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        """See `Span.update_name`."""
        self._stock().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """See `Span.set_status`."""
        self._stock().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See `Span.record_exception`."""
        self._stock().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """See `Span.end`."""
        if self._ended:
            _logger.warning("Calling end() on an ended span.")
            return
        end_time = end_time or self._now()
        template = self._template
        own = self._attributes
        self._ended = True
        if self._made is None and len(own) <= template.max_attributes and self._are_new(own):
            try:
                octets = self._encode(end_time)
            except Exception:  # noqa: BLE001 - the SDK decides what becomes of a value of an unusual type
                self._make_stock().end(end_time)
            else:
                template.put(octets)
        else:
            self._make_stock().end(end_time)

    def _are_new(self, keys: Mapping[str, object]) -> bool:
        """Whether none of the keys is already in the octets of the template or of the head."""
        origin = self._origin
        return self._template.keys.isdisjoint(keys) and (
            type(origin) is not SpanHead or origin.attributes.keys().isdisjoint(keys)
        )

    def _now(self) -> int:
        return time_ns() if self._began is None else self._start_time + int((perf_counter() - self._began) * 1e9)

    def _encode(self, end_time: int) -> bytes:
        template = self._template
        parts = (
            template.encoded,
            self._place,
            encode_times(self.span_id, self._start_time, end_time),
            self._encode_attributes(),
        )
        return b"".join((*parts, *map(encode_link, self._links)) if self._links else parts)

    def _encode_attributes(self) -> bytes:
        attributes = self._attributes
        if type(attributes) is not RecurringAttributes:
            return self._template.encode_attributes(attributes)
        if attributes.encoded is None:
            attributes.encoded = self._template.encode_attributes(attributes)
        return attributes.encoded

    def _stock(self) -> Span:
        """The SDK span that this one becomes when something rare happens to it."""
        if self._ended:
            _logger.warning("a span that has ended cannot change")
            return INVALID_SPAN
        if self._made is None:
            self._made = self._make_stock()
        return self._made

    def _make_stock(self) -> SdkSpan:
        if self._made is not None:
            return self._made
        template, origin = self._template, self._origin
        tracer = template.tracer
        head: Mapping[str, AttributeValue] = origin.attributes if isinstance(origin, SpanHead) else {}
        span = _StockSpan(
            template.name,
            self.get_span_context(),
            _parent_context(origin),
            resource=tracer.resource,
            attributes={**head, **template.attributes},
            links=self.links,
            kind=template.kind,
            span_processor=tracer.span_processor,
            limits=template.provider.limits,
            instrumentation_scope=template.scope,
        )
        span.start(self._start_time)
        span.set_attributes(self._attributes)
        return span


class _StockSpan(SdkSpan):
    """A span of the SDK, which refuses to make instances of its public class."""


def _parent_context(origin: SpanHead | FastSpan | SpanContext | None) -> SpanContext | None:
    if isinstance(origin, SpanHead):
        return origin.parent
    return origin.get_span_context() if isinstance(origin, FastSpan) else origin
