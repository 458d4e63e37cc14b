"""Fast spans: octets until something needs a span of the SDK. `test_pipelines` compares what both mean."""

import os
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, use_span
from opentelemetry.trace import Span as AnySpan

from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.fast.provider import EndedSpan, FastTracerProvider, encode_ended
from relate_telemetry.fast.span import FastSpan, UnmadeSpan
from relate_telemetry.sampling import EVERYTHING, NOTHING
from relate_telemetry.spans import RecurringAttributes, SpanTemplate, head_below, head_beside, make_template

RESOURCE = Resource({"service.name": "relate-test"})
PARENT = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(3))


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.octets: list[bytes] = []

    def put(self, span: EndedSpan) -> None:
        octets = encode_ended(span)
        if octets is not None:
            self.octets.append(octets)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    def spans(self) -> list[WireSpan]:
        request = ExportTraceServiceRequest.FromString(encode_request(self.octets))
        return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def provider(sink: Sink) -> FastTracerProvider:
    return FastTracerProvider(RESOURCE, EVERYTHING, sink)


@pytest.fixture
def template(provider: FastTracerProvider) -> SpanTemplate:
    return make_template(provider.get_tracer("test", "1"), "x", SpanKind.SERVER, {"a": 1})


def test_attributes_links_and_children_make_no_span_of_the_sdk(template: SpanTemplate, sink: Sink) -> None:
    span = template.start_root({"b": "c"})
    span.set_attributes({"d": True})
    span.set_attributes(RecurringAttributes({"e": 1.5}))
    span.add_link(PARENT)
    with use_span(span):
        child = template.start_here()
    for each in (child, span):
        assert isinstance(each, FastSpan)
        assert each._made is None
        each.end()
        assert each._made is None
    assert [len(each.attributes) for each in sink.spans()] == [1, 4]


def test_recurring_attributes_are_not_changed_by_later_ones(template: SpanTemplate, sink: Sink) -> None:
    recurring = RecurringAttributes({"b": 1})
    for number in range(2):
        span = template.start_root()
        span.set_attributes(recurring)
        span.set_attribute("c", number)
        span.end()
    assert recurring == {"b": 1}
    assert [[pair.key for pair in span.attributes] for span in sink.spans()] == [["a", "b", "c"]] * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda span: span.add_event("noted"),
        lambda span: span.update_name("y"),
        lambda span: span.set_status(StatusCode.ERROR),
        lambda span: span.record_exception(ValueError()),
        lambda span: span.add_link(PARENT, {"kind": "origin"}),
    ],
)
def test_what_is_rare_makes_a_span_of_the_sdk(
    template: SpanTemplate, sink: Sink, change: Callable[[AnySpan], object]
) -> None:
    span = template.start_root()
    change(span)
    assert isinstance(span, FastSpan)
    assert span._made is not None
    span.end()
    (sent,) = sink.spans()
    assert sent.span_id == span.span_id
    assert sent.start_time_unix_nano <= sent.end_time_unix_nano


def test_trace_flags_are_in_the_flags_of_spans_and_links(template: SpanTemplate, sink: Sink) -> None:
    root = template.start_root()
    template.start(head_below(root, {})).end()
    template.start(head_beside(root, {})).end()
    with use_span(NonRecordingSpan(PARENT)):
        template.start_here().end()
    child, beside, remote = sink.spans()
    assert (child.flags, beside.flags, remote.flags) == (0x103, 0x103, 0x303)
    assert [link.flags for link in beside.links] == [0x103]


def test_a_span_ends_by_the_monotonic_clock(
    template: SpanTemplate, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = template.start_root()
    monkeypatch.setattr("relate_telemetry.fast.span.time_ns", lambda: 0)  # the system's clock was set back
    span.end()
    (sent,) = sink.spans()
    assert 0 < sent.start_time_unix_nano <= sent.end_time_unix_nano


def test_an_ended_span_does_not_change_and_is_exported_once(
    template: SpanTemplate, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    span = template.start_root()
    span.end()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.add_link(PARENT)
    span.set_status(Status(StatusCode.ERROR))
    span.end()
    assert not span.is_recording()
    (sent,) = sink.spans()
    assert ([pair.key for pair in sent.attributes], len(sent.events), len(sent.links)) == (["a"], 0, 0)
    assert len(caplog.records) == 5


def test_a_waiting_span_is_octets_that_the_garbage_collector_skips(template: SpanTemplate, sink: Sink) -> None:
    template.start_root().end()
    assert [type(each) for each in sink.octets] == [bytes]


# Spans of the SDK


class StartCounter(SpanProcessor):
    """A processor that is not ours."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.started.append(span.name)


@pytest.mark.parametrize("processor", [StartCounter(), BatchSpanProcessor(InMemorySpanExporter())])
def test_another_processor_gets_spans_of_the_sdk(
    provider: FastTracerProvider, template: SpanTemplate, sink: Sink, processor: SpanProcessor
) -> None:
    template.start_root().end()
    provider.add_span_processor(processor)
    outer = template.start_root({"b": 2})
    with use_span(outer):
        inner = template.start_here()
    below = template.start(head_below(outer, {"c": 3}))
    for span in (inner, below, outer):
        assert isinstance(span, Span)
        span.end()
    provider.shutdown()
    assert [len(span.attributes) for span in sink.spans()] == [1, 1, 2, 2]
    if isinstance(processor, StartCounter):
        assert processor.started == ["x", "x", "x"]


def test_a_tracer_of_another_library_gets_spans_of_the_sdk(provider: FastTracerProvider, sink: Sink) -> None:
    with provider.get_tracer("other").start_as_current_span("y", links=[Link(PARENT)]) as span:
        assert isinstance(span, Span)
        child = make_template(provider.get_tracer("test"), "x").start_here()
        assert isinstance(child, FastSpan)
        child.end()
    child_sent, sent = sink.spans()
    assert child_sent.parent_span_id == sent.span_id
    assert sent.flags == 0x103


# No spans


def test_without_a_sink_there_are_ids_but_no_spans() -> None:
    provider = FastTracerProvider(RESOURCE, EVERYTHING, None)
    span = make_template(provider.get_tracer("test"), "x").start_root()
    assert type(span) is UnmadeSpan
    context = span.get_span_context()
    assert context.is_valid
    assert not context.trace_flags.sampled
    with use_span(span):
        child = make_template(provider.get_tracer("test"), "y").start_here()
    assert child.get_span_context().trace_id == context.trace_id


def test_a_processor_gets_spans_although_none_are_exported() -> None:
    provider, memory = FastTracerProvider(RESOURCE, EVERYTHING, None), StartCounter()
    provider.add_span_processor(memory)
    make_template(provider.get_tracer("test"), "x").start_root().end()
    assert memory.started == ["x"]


def test_a_span_that_is_not_sampled_takes_all_calls(sink: Sink) -> None:
    provider = FastTracerProvider(RESOURCE, NOTHING, sink)
    span = make_template(provider.get_tracer("test"), "x").start_root()
    span.set_attribute("a", 1)
    span.set_attributes({"a": 1})
    span.add_event("noted")
    span.add_link(PARENT)
    span.update_name("y")
    span.set_status(StatusCode.ERROR)
    span.record_exception(ValueError())
    span.end()
    assert not span.is_recording()
    assert sink.octets == []


def test_a_disabled_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = FastTracerProvider(RESOURCE, EVERYTHING, Sink())
    assert not make_template(provider.get_tracer("test"), "x").start_root().is_recording()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_ids_differ_after_a_fork(template: SpanTemplate) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, template.start_root().get_span_context().span_id.to_bytes(8))
        os._exit(0)
    os.waitpid(child, 0)
    assert int.from_bytes(os.read(reading, 8)) != template.start_root().get_span_context().span_id
