"""The SDK's two providers: those that somebody installed before, or our own with a bounded way out and a quick end."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from weakref import WeakSet

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.environment_variables import OTEL_METRIC_EXPORT_INTERVAL, OTEL_TRACES_SAMPLER
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from relate_supervisor import Supervisor
from relate_telemetry.export.choice import metric_exporter, span_exporter
from relate_telemetry.export.queue import SHUTDOWN_SECONDS, SpanQueue, limits_from_environment
from relate_telemetry.fast.span import LeanProvider
from relate_telemetry.metrics import observable_counter
from relate_telemetry.names import BACKGROUND_FAILURES, OWN_METER, REASON, SPANS_DROPPED, TASK
from relate_telemetry.redaction import VALUE_LIMIT, Redaction

METRIC_INTERVAL = 10_000.0  # ms between exports: the SDK's minute looks like a standstill on a dashboard

_logger = logging.getLogger(__name__)
# Once shut down, ours are still the global ones, as these are set once for good: they are nobody's to join then.
_ours: "WeakSet[TracerProvider | MeterProvider]" = WeakSet()
_redacted: "WeakSet[TracerProvider]" = WeakSet()


class Providers:
    """The two providers in use, and of them what is ours to end."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider, spans: SpanQueue | None) -> None:
        self.tracers = tracers
        self.meters = meters
        self._spans = spans

    def shutdown(self) -> None:
        """Send what waits, spans and metrics at once, and give up after SHUTDOWN_SECONDS."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        if self._spans is not None:
            self._spans.stop()
        if self.meters in _ours:
            _end_meters(self.meters, deadline)
        if self._spans is not None:
            self._spans.join(deadline)
        if self.tracers in _ours:
            self.tracers.shutdown()


def find_or_make_providers(
    resource: Resource, endpoint: str | None, supervisor: Supervisor, *, verbose: bool = False
) -> Providers:
    """The global providers where they are the SDK's, else new ones, made global if there are none.

    `verbose`: without an endpoint every span is printed, not commands alone.

    Raises ValueError naming a malformed OTEL_* variable.
    """
    tracers, meters = _installed_tracers(), _installed_meters()
    # Everything that may be malformed is read before anything is begun.
    span_out = None if tracers else span_exporter(endpoint, verbose=verbose)
    metric_out = None if meters else metric_exporter(endpoint)
    spans = SpanQueue(span_out, limits_from_environment(), supervisor) if span_out else None
    tracers = tracers or _make_tracers(resource, spans)
    meters = meters or _make_meters(resource, metric_out, supervisor)
    redact(tracers)
    _count(meters, BACKGROUND_FAILURES, TASK, supervisor.failures)
    if spans is not None:
        _count(meters, SPANS_DROPPED, REASON, spans.dropped)
    return Providers(tracers, meters, spans)


def redact(tracers: TracerProvider) -> None:
    """Put Redaction in front of whatever exports from a provider. Harmless when repeated."""
    if tracers not in _redacted:
        _redacted.add(tracers)
        # The SDK holds the limit that the OTEL_* variables set; a larger one than ours is somebody's choice.
        tracers.add_span_processor(Redaction(SpanLimits().max_span_attribute_length or VALUE_LIMIT))


def _installed_tracers() -> TracerProvider | None:
    installed = trace.get_tracer_provider()
    return installed if isinstance(installed, TracerProvider) and installed not in _ours else None


def _installed_meters() -> MeterProvider | None:
    installed = metrics.get_meter_provider()
    return installed if isinstance(installed, MeterProvider) and installed not in _ours else None


def _make_tracers(resource: Resource, spans: SpanQueue | None) -> TracerProvider:
    # The SDK's own default lets any API client turn tracing off for its requests, by a traceparent that is not sampled.
    sampler = None if os.environ.get(OTEL_TRACES_SAMPLER) else ALWAYS_ON
    provider = LeanProvider(sampler, resource)
    if spans is not None:
        provider.add_span_processor(spans)
    _ours.add(provider)
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(provider)
    return provider


def _make_meters(resource: Resource, exporter: MetricExporter | None, supervisor: Supervisor) -> MeterProvider:
    readers = [_MetricReader(exporter, _metric_interval(), supervisor)] if exporter else []
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    _ours.add(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(provider)
    return provider


def _metric_interval() -> float | None:
    return None if os.environ.get(OTEL_METRIC_EXPORT_INTERVAL) else METRIC_INTERVAL


class _MetricReader(PeriodicExportingMetricReader):
    """The SDK's reader, whose thread ends with the first exception of a collection, under a supervisor.

    The overridden name is the SDK's own, and tests watch it.
    """

    def __init__(self, exporter: MetricExporter, interval: float | None, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        super().__init__(exporter, interval)

    def _ticker(self) -> None:
        self._supervisor.keep_here("telemetry.metrics", super()._ticker, self._shutdown_event)


def _count(meters: MeterProvider, name: str, label: str, counts: Mapping[str, int]) -> None:
    """Export these counts, whose keys are values of `label`."""

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {label: key}) for key, count in dict(counts).items()]

    observable_counter(meters.get_meter(OWN_METER), name, observe)


def _end_meters(meters: MeterProvider, deadline: float) -> None:
    try:
        meters.shutdown(timeout_millis=max(0.0, deadline - time.monotonic()) * 1000)
    except Exception:
        _logger.exception("the meter provider did not end well")
