"""Counters and histograms in cells are exported as those of the SDK, with any readers, temporality and filter."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span

from relate_telemetry.fast.cells import CellMeterProvider, keeps_explicit_buckets
from relate_telemetry.fast.provider import FastTracerProvider
from relate_telemetry.metrics import Instruments
from relate_telemetry.sampling import EVERYTHING, NOTHING
from relate_telemetry.spans import make_template
from tests.support.telemetry.receiver import RecordingReader
from tests.unit.telemetry.test_fast_span import Sink

RESOURCE = Resource({"service.name": "relate-test"})
DELTA: Any = {
    "preferred_temporality": {
        Counter: AggregationTemporality.DELTA,
        Histogram: AggregationTemporality.DELTA,
    }
}
VALUES = [0.0, 0.00005, 0.003, 0.003, 0.02, 7.5, 1000.0]
FAST = FastTracerProvider(RESOURCE, EVERYTHING, Sink())
STOCK = TracerProvider(shutdown_on_exit=False)

MakeProvider = Callable[[list[MetricReader]], MeterProvider]


def cells(readers: list[MetricReader]) -> MeterProvider:
    return CellMeterProvider(readers, RESOURCE)


def stock(readers: list[MetricReader]) -> MeterProvider:
    return MeterProvider(readers, RESOURCE, shutdown_on_exit=False)


def span_of(provider: TracerProvider) -> Span:
    return make_template(provider.get_tracer("test"), "x").start_root()


def measure(instruments: Instruments, provider: TracerProvider) -> list[Span]:
    """Record some values, each in a span of its own; the spans."""
    spans = []
    instruments.up_down_counter("pop3.sessions.active")  # the SDK calls no reader without an instrument of its own
    retrieved = instruments.counter("pop3.messages.retrieved")
    commands = instruments.counter("pop3.commands", {"command": "RETR"})
    durations = instruments.histogram("pop3.command.duration", {"command": "RETR", "outcome": "ok"})
    for value in VALUES:
        spans.append(span_of(provider))
        durations.record(value, spans[-1])
        commands.add(1, spans[-1])
        retrieved.add(3, spans[-1])
    durations.record(0.5)  # outside of a span
    return spans


def points(reader: InMemoryMetricReader, *, exemplars: bool = False) -> dict[str, Any]:
    """The data points of a reader by metric, without times."""
    data: Any = reader.get_metrics_data()
    return {
        metric.name: (
            *(scope.scope.name, metric.unit, metric.description, type(metric.data).__name__),
            metric.data.aggregation_temporality.name,
            [
                {field: getattr(point, field, None) for field in ("attributes", "value", "count", "sum", "min", "max")}
                | {field: list(getattr(point, field, ())) for field in ("bucket_counts", "explicit_bounds")}
                | ({"exemplars": [each.value for each in point.exemplars]} if exemplars else {})
                for point in metric.data.data_points
            ],
        )
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if not metric.name.startswith("otel.")
    }


@pytest.mark.parametrize("options", [{}, DELTA], ids=["cumulative", "delta"])
def test_three_collections_are_the_same_as_of_the_sdk(options: dict[str, Any]) -> None:
    collected = []
    for make, tracers in ((cells, FAST), (stock, STOCK)):
        reader = RecordingReader(**options)
        instruments = Instruments(make([reader]), "Relate.Pop3")
        seen = []
        for _ in range(3):
            measure(instruments, tracers)
            seen.append(points(reader, exemplars=True))
        collected.append(seen)
    ours, theirs = map(comparable, collected)
    assert ours == theirs


def comparable(collections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the exemplars of counters, which the SDK chooses at random, and without the rounding of sums."""
    for metric in (metric for each in collections for metric in each.values()):
        for point in metric[-1]:
            point["exemplars"] = sorted(point["exemplars"]) if point["count"] else []
            point["sum"] = point["sum"] and round(point["sum"], 6)
    return collections


def test_deltas_go_on_after_each_collection() -> None:
    reader = RecordingReader(**DELTA)
    instruments = Instruments(cells([reader]), "Relate.Pop3")
    counts = []
    for _ in range(3):
        measure(instruments, FAST)
        counts.append(points(reader)["pop3.command.duration"][-1][0]["count"])
    assert counts == [len(VALUES) + 1] * 3


def test_an_exemplar_carries_the_measurement_and_its_span() -> None:
    reader = RecordingReader()
    instruments = Instruments(cells([reader]), "Relate.Pop3")
    spans = measure(instruments, FAST)
    data: Any = reader.get_metrics_data()
    by_name = {metric.name: metric for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics}
    (counted,) = by_name["pop3.messages.retrieved"].data.data_points
    context = spans[-1].get_span_context()
    assert (counted.value, [each.value for each in counted.exemplars]) == (21, [3])
    assert [(each.trace_id, each.span_id) for each in counted.exemplars] == [(context.trace_id, context.span_id)]
    (durations,) = by_name["pop3.command.duration"].data.data_points
    assert {each.span_id for each in durations.exemplars} <= {span.get_span_context().span_id for span in spans}


def test_a_new_series_starts_at_zero() -> None:
    reader = RecordingReader()
    instruments = Instruments(cells([reader]), "Relate.Pop3")
    instruments.counter("pop3.commands", {"command": "RETR"})
    instruments.histogram("pop3.command.duration", {"command": "RETR", "outcome": "failed"})
    instruments.up_down_counter("pop3.sessions.active")
    seen = points(reader)
    assert [point["value"] for point in seen["pop3.commands"][-1]] == [0]
    assert [(point["count"], point["min"]) for point in seen["pop3.command.duration"][-1]] == [(0, 0.0)]


def test_a_reader_that_is_not_ours_gets_what_is_measured_from_then_on() -> None:
    ours, other = RecordingReader(), InMemoryMetricReader()
    provider = cells([ours])
    instruments = Instruments(provider, "Relate.Pop3")
    measure(instruments, FAST)
    provider.add_metric_reader(other)
    measure(instruments, FAST)
    assert points(ours)["pop3.messages.retrieved"][-1][0]["value"] == 42
    assert points(other)["pop3.messages.retrieved"][-1][0]["value"] == 21
    assert len([name for name in points(ours) if name == "pop3.command.duration"]) == 1


def test_a_reader_of_ours_may_be_added_later() -> None:
    provider, reader = CellMeterProvider([], RESOURCE), RecordingReader()
    instruments = Instruments(provider, "Relate.Pop3")
    measure(instruments, FAST)
    provider.add_metric_reader(reader)
    instruments.up_down_counter("pop3.sessions.active")
    assert points(reader)["pop3.messages.retrieved"][-1][0]["value"] == 21


@pytest.mark.parametrize("setting", ["always_off", "trace_based"])
def test_the_exemplar_filter_is_applied(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", setting)
    reader = RecordingReader()
    measure(Instruments(CellMeterProvider([reader], RESOURCE), "Relate.Pop3"), FAST)
    has_exemplars = bool(points(reader, exemplars=True)["pop3.command.duration"][-1][0]["exemplars"])
    assert has_exemplars == (setting != "always_off")


def test_a_span_that_is_not_sampled_is_no_exemplar() -> None:
    reader = RecordingReader()
    unsampled = FastTracerProvider(RESOURCE, NOTHING, Sink())
    measure(Instruments(CellMeterProvider([reader], RESOURCE), "Relate.Pop3"), unsampled)
    assert points(reader, exemplars=True)["pop3.command.duration"][-1][0]["exemplars"] == []


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", True), ("explicit_bucket_histogram", True), ("base2_exponential_bucket_histogram", False)],
)
def test_other_histograms_are_made_by_the_sdk(monkeypatch: pytest.MonkeyPatch, setting: str, expected: bool) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", setting)
    assert keeps_explicit_buckets() == expected
