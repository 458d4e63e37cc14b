"""Fast spans equal the SDK's, and are replaced by them where a processor, sampler or limit needs that."""

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as contexts
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider, _TracerConfig
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as AnySpan

from relate_telemetry.fast.span import MAX_ITEMS, FastSpan, FastTracerProvider
from relate_telemetry.redaction import Redaction
from tests.support.examples import examples
from tests.unit.telemetry import span_strategies as strategies

RESOURCE = Resource({"service.name": "relate-test"})
PARENTS = [
    SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(1)),
    SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(3), trace_state=TraceState([("a", "b")])),
    SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(0)),
    SpanContext(0, 6, is_remote=True),
]


class CountingIds(IdGenerator):
    """Generates the same ids in each run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return next(self._numbers)


def providers() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """Our provider and the SDK's, each with an exporter."""
    for provider in (
        FastTracerProvider(ALWAYS_ON, RESOURCE),
        TracerProvider(ALWAYS_ON, RESOURCE, shutdown_on_exit=False),
    ):
        memory = InMemorySpanExporter()
        provider.id_generator = CountingIds()  # type: ignore[assignment] # the SDK takes any
        provider.add_span_processor(Redaction())
        provider.add_span_processor(SimpleSpanProcessor(memory))
        yield provider, memory


def compare(run: Callable[[TracerProvider], object]) -> tuple[ReadableSpan, ...]:
    """Run with both providers, check that they export the same, and return what ours exported."""
    exported = []
    for provider, memory in providers():
        run(provider)
        exported.append(memory.get_finished_spans())
    ours, stock = (encode_spans(spans).SerializeToString(deterministic=True) for spans in exported)
    assert ours == stock
    return exported[0]


Action = Callable[[AnySpan], object]
keys = st.sampled_from(["", "a", "b", "c"])
values = strategies.values | strategies.unusual_values
attributes = st.dictionaries(keys, values, max_size=4)


def actions() -> st.SearchStrategy[Action]:
    """Calls of a span's methods."""
    return st.one_of(
        st.builds(lambda key, value: lambda span: span.set_attribute(key, value), keys, values),
        st.builds(lambda given: lambda span: span.set_attributes(given), attributes),
        st.builds(lambda name, given: lambda span: span.add_event(name, given, 7), strategies.texts, attributes),
        st.builds(lambda to, given: lambda span: span.add_link(to, given), strategies.contexts, attributes),
        st.builds(lambda status: lambda span: span.set_status(status), strategies.statuses),
        st.builds(lambda name: lambda span: span.update_name(name), strategies.texts),
        st.just(lambda span: span.record_exception(ValueError("first\nsecond"), timestamp=7)),
        st.just(lambda span: span.end(8)),
    )


@settings(max_examples=examples(300))
@given(
    name=strategies.texts,
    parent=st.none() | st.sampled_from(PARENTS),
    kind=st.sampled_from(SpanKind),
    given_attributes=st.none() | attributes,
    links=st.none() | st.lists(strategies.links | st.builds(Link, strategies.contexts), max_size=3),
    calls=st.lists(actions(), max_size=6),
)
def test_a_fast_span_is_exported_as_the_stock_span(
    *, name: str, parent: SpanContext | None, kind: SpanKind, given_attributes: Any, links: Any, calls: list[Action]
) -> None:
    context = set_span_in_context(NonRecordingSpan(parent), contexts.Context()) if parent else contexts.Context()

    def run(provider: TracerProvider) -> None:
        span = provider.get_tracer("test", "1").start_span(
            name, context, kind, given_attributes, copy.deepcopy(links), start_time=1
        )
        for call in calls:
            call(span)
        span.end(9)

    assert len(compare(run)) == 1


def test_plain_attributes_and_links_keep_a_span_fast() -> None:
    tracer = FastTracerProvider(ALWAYS_ON, RESOURCE).get_tracer("test")
    span = tracer.start_span("x", attributes={"a": 1}, links=[Link(PARENTS[0])])
    span.set_attributes({"b": "c", "d": True})
    span.end()
    assert isinstance(span, FastSpan)
    assert type(span._attributes) is dict
    assert type(span._links) is tuple


def test_excess_attributes_are_dropped_as_by_the_sdk() -> None:
    def run(provider: TracerProvider) -> None:
        span = provider.get_tracer("test").start_span("x", start_time=1)
        for number in range(MAX_ITEMS + 2):
            span.set_attribute(f"key{number}", number)
        span.end(2)

    (span,) = compare(run)
    assert span.dropped_attributes == 2


def test_excess_links_are_dropped_as_by_the_sdk() -> None:
    def run(provider: TracerProvider) -> None:
        span = provider.get_tracer("test").start_span("x", links=[Link(PARENTS[0])], start_time=1)
        for number in range(1, MAX_ITEMS + 2):
            span.add_link(SpanContext(number, number, is_remote=True))
        span.end(2)

    (span,) = compare(run)
    assert (len(span.links), span.dropped_links) == (MAX_ITEMS, 2)


def raise_in_span(provider: TracerProvider, **options: Any) -> None:
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer", **options):
        tracer.start_span("inner").end()
        raise ValueError("broken")


@pytest.mark.parametrize("options", [{}, {"record_exception": False, "set_status_on_exception": False}])
def test_an_exception_in_a_block_is_recorded_as_by_the_sdk(options: dict[str, bool]) -> None:
    recorded = []
    for provider, memory in providers():
        with pytest.raises(ValueError, match="broken"):
            raise_in_span(provider, **options)
        inner, outer = memory.get_finished_spans()
        assert inner.parent == outer.context
        recorded.append((outer.status.status_code, outer.status.description, [event.name for event in outer.events]))
    assert recorded[0] == recorded[1]


def test_changes_after_the_end_are_ignored() -> None:
    def run(provider: TracerProvider) -> None:
        span = provider.get_tracer("test").start_span("x", start_time=1)
        span.end(2)
        span.set_attribute("late", 1)
        span.add_event("late")
        span.set_status(Status(StatusCode.ERROR))
        assert not span.is_recording()

    (span,) = compare(run)
    assert (dict(span.attributes or {}), span.events, span.status.status_code) == ({}, (), StatusCode.UNSET)


# Stock spans


class StartCounter(SpanProcessor):
    """A processor that is not ours."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def on_start(self, span: Span, parent_context: contexts.Context | None = None) -> None:
        self.started.append(span.name)


@pytest.mark.parametrize("processor", [StartCounter(), BatchSpanProcessor(InMemorySpanExporter())])
def test_another_processor_gets_stock_spans(processor: SpanProcessor) -> None:
    provider = FastTracerProvider(ALWAYS_ON, RESOURCE)
    tracer = provider.get_tracer("test")
    assert isinstance(tracer.start_span("before"), FastSpan)
    provider.add_span_processor(processor)
    span = tracer.start_span("after")
    assert isinstance(span, Span)
    assert not isinstance(span, FastSpan)
    provider.shutdown()
    if isinstance(processor, StartCounter):
        assert processor.started == ["after"]


@pytest.mark.parametrize("sampler", [None, ParentBased(ALWAYS_ON)])
def test_another_sampler_gets_stock_spans(sampler: Any) -> None:
    span = FastTracerProvider(sampler, RESOURCE).get_tracer("test").start_span("x")
    assert not isinstance(span, FastSpan)


@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    ],
)
def test_limits_in_the_environment_make_stock_spans(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    span = FastTracerProvider(ALWAYS_ON, RESOURCE).get_tracer("test").start_span("x")
    assert not isinstance(span, FastSpan)


def test_a_disabled_tracer_records_nothing() -> None:
    provider = FastTracerProvider(ALWAYS_ON, RESOURCE)
    tracer = provider.get_tracer("test")
    provider._set_tracer_configurator(tracer_configurator=lambda scope: _TracerConfig(is_enabled=False))
    assert not tracer.start_span("x").is_recording()


def test_a_disabled_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not FastTracerProvider(ALWAYS_ON, RESOURCE).get_tracer("test").start_span("x").is_recording()
