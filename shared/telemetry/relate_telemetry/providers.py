"""The SDK's tracer and meter providers: those already installed, or our own with a bounded queue and shutdown."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from weakref import WeakSet

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.environment_variables import (
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from relate_supervisor import Supervisor
from relate_telemetry.export.choice import (
    encoded_span_exporter,
    metric_exporter,
    span_exporter,
    takes_encoded_spans,
)
from relate_telemetry.export.queue import (
    SHUTDOWN_SECONDS,
    QueueProcessor,
    SpanQueue,
    count_octets,
    limits_from_environment,
)
from relate_telemetry.fast.cells import CellMeterProvider, keeps_explicit_buckets
from relate_telemetry.fast.span import FastTracerProvider
from relate_telemetry.metrics import observable_counter
from relate_telemetry.names import BACKGROUND_FAILURES, OWN_METER, REASON, SPANS_DROPPED, TASK
from relate_telemetry.redaction import Redaction
from relate_telemetry.sampling import Sampling, sampling_from_environment
from relate_telemetry.sdk_internals import CompletingReader, TickingReader, is_tested

METRIC_INTERVAL_MILLISECONDS = 10_000.0  # between exports: the SDK's minute is too slow for a dashboard

_logger = logging.getLogger(__name__)
# After a shutdown ours stay the global providers, which can be set only once; they must not be used again then.
_ours: "WeakSet[TracerProvider | MeterProvider]" = WeakSet()
_redacted: "WeakSet[TracerProvider]" = WeakSet()


Pipeline = Literal["fast", "sdk"]


class Providers:
    """The tracer provider and the meter provider in use. Those that are our own are shut down here."""

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider,
        spans: SpanQueue[bytes] | SpanQueue[ReadableSpan] | None,
    ) -> None:
        self.tracers = tracers
        self.meters = meters
        self._spans = spans

    def shutdown(self) -> None:
        """Export what is buffered, spans and metrics in parallel, and give up after SHUTDOWN_SECONDS."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        if self._spans is not None:
            self._spans.stop()
        if self.meters in _ours:
            _shut_down_meters(self.meters, deadline)
        if self._spans is not None:
            self._spans.join(deadline)
        if self.tracers in _ours:
            self.tracers.shutdown()


def find_or_make_providers(
    resource: Resource,
    endpoint: str | None,
    supervisor: Supervisor,
    *,
    verbose: bool = False,
    pipeline: Pipeline = "fast",
) -> Providers:
    """Return the global providers if they are the SDK's, else new ones, which become global if there are none.

    With `verbose` and without an endpoint, every span is printed, not only commands. With the pipeline `sdk`, spans and
    metrics are made by the SDK. Raises ValueError naming a malformed OTEL_* variable.
    """
    tracers, meters = _installed_tracers(), _installed_meters()
    spans: SpanQueue[bytes] | SpanQueue[ReadableSpan] | None = None
    # All variables that may be malformed are parsed before a thread starts.
    metrics_to = None if meters else metric_exporter(endpoint)
    if tracers is None:
        sampling = sampling_from_environment()
        if sampling is not None and _can_be_fast(pipeline, endpoint):
            tracers, spans = _make_fast_tracers(resource, sampling, endpoint, supervisor)
        else:
            tracers, spans = _make_sdk_tracers(resource, sampling, span_exporter(endpoint, verbose=verbose), supervisor)
    meters = meters or _make_meters(resource, metrics_to, supervisor, pipeline)
    redact(tracers)
    _export_counts(meters, BACKGROUND_FAILURES, TASK, supervisor.failures)
    if spans is not None:
        _export_counts(meters, SPANS_DROPPED, REASON, spans.dropped)
    return Providers(tracers, meters, spans)


def _can_be_fast(pipeline: Pipeline, endpoint: str | None) -> bool:
    """Whether spans can be octets from the start. The console and the SDK's internal metrics need those of the SDK."""
    counts_spans = os.environ.get(OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED, "").strip().lower() == "true"
    return pipeline == "fast" and is_tested() and not counts_spans and takes_encoded_spans(endpoint)


def redact(tracers: TracerProvider) -> None:
    """Add `Redaction` to a provider, before any of its exporters sees a span. Idempotent."""
    if tracers not in _redacted and not isinstance(tracers, FastTracerProvider):  # it has one
        _redacted.add(tracers)
        # A limit that the OTEL_* variables set replaces ours, also where it is larger.
        tracers.add_span_processor(Redaction(SpanLimits().max_span_attribute_length))


def _installed_tracers() -> TracerProvider | None:
    installed = trace.get_tracer_provider()
    return installed if isinstance(installed, TracerProvider) and installed not in _ours else None


def _installed_meters() -> MeterProvider | None:
    installed = metrics.get_meter_provider()
    return installed if isinstance(installed, MeterProvider) and installed not in _ours else None


def _make_fast_tracers(
    resource: Resource, sampling: Sampling, endpoint: str | None, supervisor: Supervisor
) -> tuple[TracerProvider, SpanQueue[bytes] | None]:
    exporter = encoded_span_exporter(endpoint)
    queue = SpanQueue(exporter, len, limits_from_environment(), supervisor) if exporter else None
    return _publish_tracers(FastTracerProvider(resource, sampling, queue)), queue


def _make_sdk_tracers(
    resource: Resource, sampling: Sampling | None, exporter: SpanExporter | None, supervisor: Supervisor
) -> tuple[TracerProvider, SpanQueue[ReadableSpan] | None]:
    queue = SpanQueue(exporter, count_octets, limits_from_environment(), supervisor) if exporter else None
    provider = TracerProvider(sampling.sampler if sampling else None, resource, shutdown_on_exit=False)
    redact(provider)
    if queue is not None:
        provider.add_span_processor(QueueProcessor(queue))
    return _publish_tracers(provider), queue


def _publish_tracers(provider: TracerProvider) -> TracerProvider:
    _ours.add(provider)
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(provider)
    return provider


def _make_meters(
    resource: Resource, exporter: MetricExporter | None, supervisor: Supervisor, pipeline: Pipeline
) -> MeterProvider:
    readers = [_make_reader(exporter, supervisor)] if exporter else []
    if pipeline == "fast" and is_tested() and keeps_explicit_buckets():
        provider: MeterProvider = CellMeterProvider(readers, resource)
    else:
        provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    _ours.add(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(provider)
    return provider


def _make_reader(exporter: MetricExporter, supervisor: Supervisor) -> PeriodicExportingMetricReader:
    interval = None if os.environ.get(OTEL_METRIC_EXPORT_INTERVAL) else METRIC_INTERVAL_MILLISECONDS
    if is_tested():
        return _SupervisedReader(exporter, interval, supervisor)
    return PeriodicExportingMetricReader(exporter, interval)


class _SupervisedReader(CompletingReader, TickingReader):
    """The SDK's reader under a supervisor, because its thread ends with the first exception of a collection."""

    def __init__(self, exporter: MetricExporter, interval: float | None, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        super().__init__(exporter, interval)

    def run(self, tick: Callable[[], None], stopping: threading.Event) -> None:
        """See `TickingReader.run`."""
        self._supervisor.keep_here("telemetry.metrics", tick, stopping)


def _export_counts(meters: MeterProvider, name: str, label: str, counts: Mapping[str, int]) -> None:
    """Export counts whose keys are the values of `label`."""

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {label: key}) for key, count in dict(counts).items()]

    observable_counter(meters.get_meter(OWN_METER), name, observe)


def _shut_down_meters(meters: MeterProvider, deadline: float) -> None:
    try:
        meters.shutdown(timeout_millis=max(0.0, deadline - time.monotonic()) * 1000)
    except Exception:
        _logger.exception("the meter provider failed to shut down")
