"""Counters and histograms that are kept in cells of our own and handed to the SDK's readers at each collection.

The SDK cleans, copies and hashes the attributes of each measurement, and asks for the current span four times. A cell
is one time series: a measurement adds to it, and the newest span becomes its exemplar. A reader that is not ours reads
the SDK's instruments, so once one is added, measurements go to both.
"""

import math
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from time import time_ns
from typing import Any, Generic, NamedTuple, TypeVar

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION,
    OTEL_METRICS_EXEMPLAR_FILTER,
)
from opentelemetry.sdk.metrics import Counter, Exemplar, MeterProvider
from opentelemetry.sdk.metrics import Histogram as SdkHistogram
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, set_span_in_context

from relate_telemetry.fast.span import FastSpan
from relate_telemetry.instruments import Instrument
from relate_telemetry.names import BOUNDS
from relate_telemetry.sdk_internals import CompletingReader, temporality_of

_EMPTY = Context()

_Measured = tuple[float, FastSpan]


_CellT = TypeVar("_CellT", "CounterCell", "HistogramCell")
_Mirror = Callable[..., None]


class Window(NamedTuple):
    """The time of data points, in nanoseconds since the epoch; of a delta, since the reader's last collection."""

    start: int
    end: int
    is_delta: bool


class CounterCell:
    """One time series of a counter."""

    __slots__ = ("_metric", "attributes", "measured", "total")

    def __init__(self, metric: "CellMetric[CounterCell]", attributes: Mapping[str, str]) -> None:
        self.attributes = attributes
        self.total = 0
        self.measured: _Measured | None = None  # since the last collection
        self._metric = metric

    def add(self, amount: int, span: Span | None = None) -> None:
        """Add an amount that was measured in a span."""
        self.total += amount
        metric = self._metric
        if type(span) is FastSpan and metric.keeps_exemplars:
            self.measured = (amount, span)
        if metric.mirror is not None:
            metric.mirror(amount, self.attributes, _context(span))

    def collect(self, window: Window, before: Sequence[float]) -> tuple[NumberDataPoint, Sequence[float]]:
        """The data point, and what the reader has to pass as `before` at its next collection of deltas."""
        total, measured = self.total, self.measured
        self.measured = None
        value = total - int(before[0]) if before else total
        return NumberDataPoint(self.attributes, window.start, window.end, value, _exemplars([measured])), (total,)


class HistogramCell:
    """One time series of a histogram."""

    __slots__ = ("_bounds", "_metric", "attributes", "counts", "highest", "lowest", "measured", "total")

    def __init__(self, metric: "CellMetric[HistogramCell]", attributes: Mapping[str, str]) -> None:
        self.attributes = attributes
        self.total = 0.0
        self.lowest, self.highest = math.inf, -math.inf
        self._metric = metric
        self._bounds = metric.bounds
        self.counts = [0] * (len(metric.bounds) + 1)
        self.measured: list[_Measured | None] = [None] * len(self.counts)  # by bucket, since the last collection

    def record(self, value: float, span: Span | None = None) -> None:
        """Record a finite value that was measured in a span."""
        bucket = bisect_left(self._bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if value < self.lowest:  # noqa: PLR1730 - quicker than min and max
            self.lowest = value
        if value > self.highest:  # noqa: PLR1730
            self.highest = value
        metric = self._metric
        if type(span) is FastSpan and metric.keeps_exemplars:
            self.measured[bucket] = (value, span)
        if metric.mirror is not None:
            metric.mirror(value, self.attributes, _context(span))

    def collect(self, window: Window, before: Sequence[float]) -> tuple[HistogramDataPoint, Sequence[float]]:
        """The data point, and what the reader has to pass as `before` at its next collection of deltas."""
        exported = (self.total, *self.counts)
        measured, self.measured = self.measured, [None] * len(self.counts)
        total, *counts = [new - old for new, old in zip(exported, before, strict=True)] if before else exported
        count = sum(counts)
        lowest, highest = (self.lowest, self.highest) if count else (0.0, 0.0)
        if window.is_delta:
            self.lowest, self.highest = math.inf, -math.inf
        point = HistogramDataPoint(
            self.attributes,
            window.start,
            window.end,
            int(count),
            total,
            list(map(int, counts)),
            self._bounds,
            lowest,
            highest,
            _exemplars(measured),
        )
        return point, exported


def _exemplars(measured: Iterable[_Measured | None]) -> list[Exemplar]:
    return [
        Exemplar({}, value, span.end_time or time_ns(), int.from_bytes(span.span_id), int.from_bytes(span.trace_id))
        for value, span in filter(None, measured)
    ]


def _context(span: Span | None) -> Context:
    return _EMPTY if span is None else set_span_in_context(span, _EMPTY)


class CellMetric(Generic[_CellT]):
    """A counter or histogram with its cells, by the values of its labels."""

    def __init__(self, scope: str, instrument: Instrument, make: Callable[..., _CellT], stock: _Mirror) -> None:
        self.scope = scope
        self.instrument = instrument
        self.bounds = instrument.bounds or BOUNDS.get(instrument.unit, ())
        self.keeps_exemplars = os.environ.get(OTEL_METRICS_EXEMPLAR_FILTER, "").strip().lower() != "always_off"
        self.mirror: _Mirror | None = None
        self.stock = stock
        self.cells: dict[tuple[str, ...], _CellT] = {}
        self._make: Callable[..., _CellT] = make

    def cell(self, attributes: Mapping[str, str]) -> _CellT:
        """The cell of these attributes, at 0 if it is new."""
        key = tuple(attributes.values())
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = self._make(self, attributes)
        return cell


class CellMeterProvider(MeterProvider):
    """The SDK's provider, whose readers are also given the cells of our counters and histograms.

    `before_collection` is called before each collection, to record what has been measured.
    """

    def __init__(
        self, readers: Sequence[MetricReader], resource: Resource, before_collection: Callable[[], None] | None = None
    ) -> None:
        self.before_collection = before_collection
        self._counters: dict[str, CellMetric[CounterCell]] = {}
        self._histograms: dict[str, CellMetric[HistogramCell]] = {}
        self._mirrors = False
        super().__init__(readers, resource, shutdown_on_exit=False)
        for reader in readers:
            self._connect(reader)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Add a reader. One that is not ours reads what is measured from now on."""
        super().add_metric_reader(metric_reader)
        self._connect(metric_reader)

    def counter(self, scope: str, instrument: Instrument) -> CellMetric[CounterCell]:
        """The cells of a counter; one object per name."""
        metric = self._counters.get(instrument.name)
        if metric is None:
            stock = make_counter(self.get_meter(scope), instrument)
            metric = self._counters[instrument.name] = CellMetric(scope, instrument, CounterCell, stock.add)
            self._mirror(metric)
        return metric

    def histogram(self, scope: str, instrument: Instrument) -> CellMetric[HistogramCell]:
        """The cells of a histogram; one object per name."""
        metric = self._histograms.get(instrument.name)
        if metric is None:
            stock = make_histogram(self.get_meter(scope), instrument)
            metric = self._histograms[instrument.name] = CellMetric(scope, instrument, HistogramCell, stock.record)
            self._mirror(metric)
        return metric

    def metrics(self) -> "list[CellMetric[CounterCell] | CellMetric[HistogramCell]]":
        """All metrics that are kept in cells."""
        return [*self._counters.values(), *self._histograms.values()]

    def _connect(self, reader: MetricReader) -> None:
        if isinstance(reader, CompletingReader):
            reader.complete = _Completion(self, reader)
            return
        self._mirrors = True
        for metric in self.metrics():
            self._mirror(metric)

    def _mirror(self, metric: "CellMetric[CounterCell] | CellMetric[HistogramCell]") -> None:
        if self._mirrors:
            metric.mirror = metric.stock


class _Completion:
    """Adds the metrics of cells to what the SDK collected for one reader."""

    def __init__(self, provider: CellMeterProvider, reader: MetricReader) -> None:
        self._provider = provider
        self._counters = temporality_of(reader, Counter)
        self._histograms = temporality_of(reader, SdkHistogram)
        self._exported: dict[CounterCell | HistogramCell, Sequence[float]] = {}  # of metrics with delta temporality
        self._first = self._last = time_ns()

    def __call__(self, data: MetricsData) -> MetricsData:
        if self._provider.before_collection is not None:
            self._provider.before_collection()
        now = time_ns()
        by_scope: dict[str, list[Metric]] = {}
        for metric in self._provider.metrics():
            if metric.cells:
                by_scope.setdefault(metric.scope, []).append(self._collect(metric, now))
        self._last = now
        resources = [
            replace(each, scope_metrics=_merge(each.scope_metrics, by_scope)) for each in data.resource_metrics
        ]
        return MetricsData(resources)

    def _collect(self, metric: "CellMetric[CounterCell] | CellMetric[HistogramCell]", now: int) -> Metric:
        instrument = metric.instrument
        temporality = self._counters if instrument.kind == "counter" else self._histograms
        is_delta = temporality is AggregationTemporality.DELTA
        window = Window(self._last if is_delta else self._first, now, is_delta)
        points: Any = [self._point(cell, window) for cell in list(metric.cells.values())]
        data = Sum(points, temporality, True) if instrument.kind == "counter" else Histogram(points, temporality)
        return Metric(instrument.name, instrument.description, instrument.unit, data)

    def _point(self, cell: Any, window: Window) -> object:
        point, exported = cell.collect(window, self._exported.get(cell, ()))
        if window.is_delta:
            self._exported[cell] = exported
        return point


def _merge(collected: Iterable[ScopeMetrics], cells: dict[str, list[Metric]]) -> list[ScopeMetrics]:
    """The metrics by scope; those of cells replace what was recorded in both."""
    merged = []
    for scope in collected:
        own = cells.pop(scope.scope.name, [])
        names = {metric.name for metric in own}
        stock = [metric for metric in scope.metrics if metric.name not in names]
        merged.append(replace(scope, metrics=[*stock, *own]))
    return merged + [ScopeMetrics(InstrumentationScope(name), metrics, "") for name, metrics in cells.items()]


def make_counter(meter: Meter, instrument: Instrument) -> metrics.Counter:
    """Create a counter of the SDK."""
    return meter.create_counter(instrument.name, instrument.unit, instrument.description)


def make_histogram(meter: Meter, instrument: Instrument) -> metrics.Histogram:
    """Create a histogram of the SDK, with its bounds or those of its unit."""
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=instrument.bounds or BOUNDS[instrument.unit],
    )


def keeps_explicit_buckets() -> bool:
    """Whether the OTEL_* variables ask for no other histograms than those of cells."""
    chosen = os.environ.get(OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, "").strip()
    return chosen in ("", "explicit_bucket_histogram")
