"""The SDK's tracer and meter providers: those already installed, or our own with a bounded queue and shutdown."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal
from weakref import WeakSet

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.environment_variables import (
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from relate_supervisor import Supervisor
from relate_telemetry.environment import unsupported_variables
from relate_telemetry.export.choice import (
    Scraped,
    encoded_span_exporter,
    log_exporter,
    metric_exporters,
    span_exporters,
    takes_encoded_spans,
)
from relate_telemetry.export.log_records import encode_line
from relate_telemetry.export.queue import Exporter, ExportQueue, QueueLimits, log_limits, span_limits
from relate_telemetry.export.sdk_spans import QueueProcessor, SdkExporter, count_octets
from relate_telemetry.fast.cells import CellMeterProvider, keeps_explicit_buckets
from relate_telemetry.fast.provider import FastTracerProvider, encode_ended
from relate_telemetry.logs import Sink, export_lines
from relate_telemetry.metrics import observable_counter
from relate_telemetry.names import BACKGROUND_FAILURES, LOGS_DROPPED, OWN_METER, REASON, SPANS_DROPPED, TASK
from relate_telemetry.redaction import Redaction
from relate_telemetry.sampling import Sampling, sampling_from_environment
from relate_telemetry.sdk_internals import CompletingReader, TickingReader, add_resource, is_tested

SHUTDOWN_SECONDS = 4.0  # of the 5 s that telemetry has to shut down
METRICS_SECONDS = 1.0  # of these, for the last export of metrics, which tells what the queues lost
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
        queues: Sequence[ExportQueue[bytes] | ExportQueue[ReadableSpan]] = (),
    ) -> None:
        self.tracers = tracers
        self.meters = meters
        self._queues = queues

    def shutdown(self) -> None:
        """Export what is buffered, spans and logs in parallel and then metrics, and give up after SHUTDOWN_SECONDS."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        export_lines(None)
        for queue in self._queues:
            queue.stop()
        for queue in self._queues:
            queue.join(deadline - METRICS_SECONDS)
        if self.meters in _ours:
            _shut_down_meters(self.meters, deadline)
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
    if tracers is not None:
        add_resource(tracers, resource)
    if meters is not None:
        add_resource(meters, resource)
    spans: Sequence[ExportQueue[bytes] | ExportQueue[ReadableSpan]] = []
    # All variables that may be malformed are parsed before a thread starts.
    logs_to = log_exporter(endpoint, tracers.resource if tracers else resource)
    metrics_to = [] if meters else metric_exporters(endpoint)
    limits = span_limits() if tracers is None else None
    logs = [ExportQueue(logs_to, len, log_limits(), supervisor, "telemetry.logs")] if logs_to else []
    if tracers is None:
        for sentence in unsupported_variables():
            _logger.warning(sentence)
        sampling = sampling_from_environment()
        if sampling is not None and _can_be_fast(pipeline, endpoint):
            exporter = encoded_span_exporter(endpoint)
            tracers, spans = _make_fast_tracers(resource, sampling, exporter, limits, supervisor)
        else:
            exporters = span_exporters(endpoint, verbose=verbose)
            tracers, spans = _make_sdk_tracers(resource, sampling, exporters, limits, supervisor)
    meters = meters or _make_meters(resource, metrics_to, supervisor, pipeline)
    if isinstance(meters, CellMeterProvider) and isinstance(tracers, FastTracerProvider) and spans:
        meters.before_collection = spans[0].encode_arrived  # because commands are measured when their spans are encoded
    redact(tracers)
    export_lines(_line_sink(logs[0]) if logs else None)
    _export_counts(meters, BACKGROUND_FAILURES, TASK, supervisor.failures)
    _export_counts(meters, SPANS_DROPPED, REASON, *(queue.dropped for queue in spans))
    _export_counts(meters, LOGS_DROPPED, REASON, *(queue.dropped for queue in logs))
    return Providers(tracers, meters, [*spans, *logs])


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


def _line_sink(queue: ExportQueue[bytes]) -> Sink:
    return lambda logger, event: queue.put(encode_line(logger, event))


def _make_fast_tracers(
    resource: Resource,
    sampling: Sampling,
    exporter: Exporter[bytes] | None,
    limits: QueueLimits | None,
    supervisor: Supervisor,
) -> tuple[TracerProvider, list[ExportQueue[bytes]]]:
    queue = ExportQueue(exporter, len, limits, supervisor, encode=encode_ended) if exporter else None
    return _publish_tracers(FastTracerProvider(resource, sampling, queue)), [queue] if queue else []


def _make_sdk_tracers(
    resource: Resource,
    sampling: Sampling | None,
    exporters: Iterable[SpanExporter],
    limits: QueueLimits | None,
    supervisor: Supervisor,
) -> tuple[TracerProvider, list[ExportQueue[ReadableSpan]]]:
    queues = [ExportQueue(SdkExporter(each), count_octets, limits, supervisor) for each in exporters]
    provider = TracerProvider(sampling.sampler if sampling else None, resource, shutdown_on_exit=False)
    redact(provider)
    for queue in queues:
        provider.add_span_processor(QueueProcessor(queue))
    return _publish_tracers(provider), queues


def _publish_tracers(provider: TracerProvider) -> TracerProvider:
    _ours.add(provider)
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(provider)
    return provider


def _make_meters(
    resource: Resource,
    exporters: Iterable[MetricExporter | MetricReader],
    supervisor: Supervisor,
    pipeline: Pipeline,
) -> MeterProvider:
    readers = [_make_reader(each, supervisor) for each in exporters]
    if pipeline == "fast" and is_tested() and keeps_explicit_buckets():
        provider: MeterProvider = CellMeterProvider(readers, resource)
    else:
        provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    _ours.add(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(provider)
    return provider


def _make_reader(exporter: MetricExporter | MetricReader, supervisor: Supervisor) -> MetricReader:
    if isinstance(exporter, Scraped):
        exporter.serve(supervisor)
    if isinstance(exporter, MetricReader):
        return exporter
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


def _export_counts(meters: MeterProvider, name: str, label: str, *counts: Mapping[str, int]) -> None:
    """Export the sums of counts whose keys are the values of `label`."""

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        sums = Counter[str]()
        for each in counts:
            sums.update(dict(each))
        return [Observation(count, {label: key}) for key, count in sums.items()]

    observable_counter(meters.get_meter(OWN_METER), name, observe)


def _shut_down_meters(meters: MeterProvider, deadline: float) -> None:
    try:
        meters.shutdown(timeout_millis=max(0.0, deadline - time.monotonic()) * 1000)
    except Exception:
        _logger.exception("the meter provider failed to shut down")
