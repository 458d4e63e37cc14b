"""The tracer provider of the fast pipeline: its templates make fast spans until something needs those of the SDK."""

from collections.abc import Mapping
from random import getrandbits
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanContext, SpanKind, get_current_span
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import Attributes, AttributeValue

from relate_telemetry.fast.encoder import AttributeEncoder, encode_span
from relate_telemetry.fast.span import FastSpan, SpanParts, UnmadeSpan
from relate_telemetry.redaction import Redaction
from relate_telemetry.sampling import Sampling
from relate_telemetry.sdk_internals import SPAN_KEY, current_context
from relate_telemetry.spans import SpanHead, StockTemplate, TemplateTracer

EndedSpan = FastSpan | ReadableSpan


class SpanSink(Protocol):
    """Takes ended spans, and encodes them by `encode_ended`."""

    def put(self, span: EndedSpan) -> None:
        """Take one span."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export all spans. Return whether that was done in time."""


def encode_ended(span: EndedSpan) -> bytes | None:
    """The octets of a span; None if it becomes one of the SDK, which is put into the sink, too."""
    return span.encode() if isinstance(span, FastSpan) else encode_span(span)


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
            super().add_span_processor(_SinkProcessor(sink))
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


class _SinkProcessor(SpanProcessor):
    """Passes on the spans that the SDK made."""

    def __init__(self, sink: SpanSink) -> None:
        self._sink = sink

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._sink.put(span)

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
        add_ended = provider.sink.put if provider.sink else _discard
        super().__init__(tracer, scope, provider.limits, provider.encoder, add_ended, name, kind, attributes)
        self._provider = provider
        self._stock = StockTemplate(tracer, name, kind, attributes)

    def start(self, head: SpanHead, start_time: int | None = None) -> Span:
        """See `SpanTemplate.start`."""
        provider = self._provider
        if not provider.makes_fast_spans:
            return self._stock.start(head, start_time)
        span = head.span
        if type(span) is FastSpan:
            trace_id = span.trace_id if head.is_below else _new_trace_id()
            return FastSpan(self, head, trace_id, start_time)
        parent = head.parent  # of the SDK, or one that is not made
        trace_id = parent.trace_id.to_bytes(16) if parent else _new_trace_id()
        if provider.sink is None or not span.get_span_context().trace_flags.sampled:
            return UnmadeSpan(trace_id)
        return FastSpan(self, head, trace_id, start_time)

    def start_root(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_root`."""
        if not self._provider.makes_fast_spans:
            return self._stock.start_root(attributes)
        return self._start_below(INVALID_SPAN_CONTEXT, attributes)

    def start_here(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_here`."""
        if not self._provider.makes_fast_spans:
            return self._stock.start_here(attributes)
        parent = current_context().get(SPAN_KEY)
        if type(parent) is FastSpan:
            return FastSpan(self, parent, parent.trace_id, None, attributes)
        return self._start_below(get_current_span().get_span_context(), attributes)

    def _start_below(self, parent: SpanContext, attributes: Attributes) -> Span:
        """Start a span below one of the SDK, below an unmade one, or as a root."""
        if parent.is_valid and (parent.trace_state or not parent.trace_flags.random_trace_id):  # of another tracer
            return self._stock.start_here(attributes)
        provider = self._provider
        origin = parent if parent.is_valid else None
        trace_id = parent.trace_id.to_bytes(16) if origin else _new_trace_id()
        if provider.sink is None or not provider.sampling.samples(trace_id, origin):
            return UnmadeSpan(trace_id)
        return FastSpan(self, origin, trace_id, None, attributes)


def _new_trace_id() -> bytes:
    return getrandbits(128).to_bytes(16)


def _discard(span: FastSpan) -> None:
    """Receive a span where none is exported."""
