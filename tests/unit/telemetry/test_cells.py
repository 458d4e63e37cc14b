"""A bound histogram exports the same as the SDK's, with any readers, views and filters."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry.metrics import Histogram, NoOpHistogram, NoOpMeterProvider, get_meter_provider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics import Histogram as SdkHistogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import use_span

from relate_telemetry.fast.histogram import BoundHistogram

VALUES = [0.0, 0.00005, 0.003, 0.003, 0.02, 7.5, 1000.0]
ATTRIBUTES = {"command": "NOOP", "outcome": "ok"}
DELTA: Any = {"preferred_temporality": {SdkHistogram: AggregationTemporality.DELTA}}

Record = Callable[[float], object]
Bind = Callable[[Histogram], Record]


def bind_ours(histogram: Histogram) -> Record:
    return BoundHistogram(histogram, ATTRIBUTES).record


def bind_stock(histogram: Histogram) -> Record:
    return lambda value: histogram.record(value, ATTRIBUTES)


def points(reader: InMemoryMetricReader) -> list[Any]:
    """The data points of a reader, without times."""
    data = reader.get_metrics_data()
    return [
        [
            (getattr(point, field) if hasattr(point, field) else None)
            for field in ("attributes", "count", "sum", "min", "max", "bucket_counts", "explicit_bounds", "scale")
        ]
        + [[(each.value, each.trace_id, each.span_id, each.filtered_attributes) for each in point.exemplars]]
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")
SPANS = [TRACER.start_span(str(value)) for value in VALUES]


def record_all(record: Record) -> None:
    record(0.5)  # outside of a span
    for value, span in zip(VALUES, SPANS, strict=True):
        with use_span(span):
            record(value)


def run(bind: Bind, views: Sequence[View], readers: int, options: dict[str, Any]) -> list[Any]:
    metric_readers = [InMemoryMetricReader(**options) for _ in range(readers)]
    provider = MeterProvider(metric_readers, views=views, shutdown_on_exit=False)
    record = bind(provider.get_meter("test").create_histogram("some.duration", "s"))
    seen: list[Any] = []
    for _ in range(3):
        record_all(record)
        seen += [points(reader) for reader in metric_readers]
    late = InMemoryMetricReader()
    provider.add_metric_reader(late)
    record_all(record)
    return [*seen, points(late), *(points(reader) for reader in metric_readers)]


@pytest.mark.parametrize(
    "views",
    [
        [],
        [View(instrument_name="some.duration", attribute_keys={"outcome"})],
        [
            View(instrument_name="some.duration", attribute_keys={"outcome"}),
            View(instrument_name="some.duration", name="twice"),
        ],
        [View(instrument_name="some.duration", aggregation=ExponentialBucketHistogramAggregation())],
        [View(instrument_name="some.duration", aggregation=DropAggregation())],
    ],
)
@pytest.mark.parametrize("readers", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, DELTA])
def test_all_readers_get_the_same_points_as_from_the_sdk(
    views: list[View], readers: int, options: dict[str, Any]
) -> None:
    assert run(bind_ours, views, readers, options) == run(bind_stock, views, readers, options)


def test_the_exemplar_filter_is_applied() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False)
    record_all(bind_ours(provider.get_meter("test").create_histogram("some.duration")))
    (point,) = points(reader)
    assert (point[1], point[-1]) == (len(VALUES) + 1, [])


def test_the_first_measurement_binds_the_histogram() -> None:
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    bound = BoundHistogram(provider.get_meter("test").create_histogram("some.duration"), ATTRIBUTES)
    bound.record(1)
    binding = bound._binding
    assert binding is not None
    assert len(binding.aggregations) == 1
    assert binding.readers is bound._consumer._reader_storages


class ApiHistogram(NoOpHistogram):
    """An instrument of the API without SDK that stores its measurements."""

    def __init__(self) -> None:
        super().__init__("some.duration")
        self.recorded: list[tuple[float, Any]] = []

    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self.recorded.append((amount, attributes))


def test_without_the_sdk_each_value_is_recorded_by_the_api() -> None:
    histogram = ApiHistogram()
    record_all(bind_ours(histogram))
    assert histogram.recorded == [(value, ATTRIBUTES) for value in [0.5, *VALUES]]


@pytest.mark.parametrize("provider", [NoOpMeterProvider(), get_meter_provider()])
def test_without_the_sdk_the_histogram_stays_unbound(provider: Any) -> None:
    bound = BoundHistogram(provider.get_meter("test").create_histogram("some.duration"), ATTRIBUTES)
    record_all(bound.record)
    assert bound._binding is None
