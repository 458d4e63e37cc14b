"""The tracer provider of the fast pipeline: its templates make fast spans until something needs those of the SDK."""

from collections.abc import Mapping
from random import randbytes
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanContext, SpanKind, get_current_span
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import Attributes, AttributeValue

from relate_telemetry.fast.encoder import (
    AttributeEncoder,
    encode_child,
    encode_link,
    encode_root,
    encode_span,
    encode_span_flags,
)
from relate_telemetry.fast.span import SAMPLED, FastSpan, SpanParts, UnmadeSpan
from relate_telemetry.redaction import Redaction
from relate_telemetry.sampling import Sampling
from relate_telemetry.spans import SpanHead, StockTemplate, TemplateTracer

_FLAGS = encode_span_flags(SAMPLED)


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


class FastTemplate(SpanParts):
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
        put = provider.sink.put if provider.sink else _discard
        super().__init__(tracer, scope, provider.limits, provider.encoder, put, name, kind, attributes)
        self._provider = provider
        self._stock = StockTemplate(tracer, name, kind, attributes)

    def start(self, head: SpanHead, start_time: int | None = None) -> Span:
        """See `SpanTemplate.start`."""
        provider = self._provider
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
        if self._provider.sink is None or not head.span.get_span_context().trace_flags.sampled:
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
        if not self._provider.makes_fast_spans:
            return self._stock.start_root(attributes)
        return self._start_below(INVALID_SPAN_CONTEXT, attributes)

    def start_here(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_here`."""
        provider, parent = self._provider, get_current_span()
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
        provider = self._provider
        trace_id = parent.trace_id.to_bytes(16) if parent.is_valid else randbytes(16)  # noqa: S311 - distinct, not secret
        if provider.sink is None or not provider.sampling.samples(trace_id, parent if parent.is_valid else None):
            return UnmadeSpan(trace_id)
        if not parent.is_valid:
            return FastSpan(self, None, trace_id, encode_root(trace_id, _FLAGS), None, attributes)
        flags = encode_span_flags(SAMPLED, is_remote=parent.is_remote)
        place = encode_child(trace_id, parent.span_id.to_bytes(8), flags)
        return FastSpan(self, parent, trace_id, place, None, attributes)


def _ids(span: Span) -> tuple[bytes, bytes]:
    if type(span) is FastSpan:
        return span.trace_id, span.span_id
    context = span.get_span_context()
    return context.trace_id.to_bytes(16), context.span_id.to_bytes(8)


def _discard(octets: bytes) -> None:
    """Receive a span where none is exported."""
