"""Every private name of OpenTelemetry that Relate Mail uses; a test checks that no other file uses one.

A release of OpenTelemetry may change any of them, so pyproject.toml pins the versions against which the tests compare
our spans, metrics and requests with the SDK's. With another version the SDK's own classes are used; redaction stays.
A subclass of one of its classes declares the private fields that it uses in a base class here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from importlib.metadata import entry_points, version
from operator import attrgetter
from threading import Event as ThreadEvent
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import _RUNTIME_CONTEXT, Context, attach, detach, get_current
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME
from opentelemetry.trace import Status
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.util.types import AnyValue

TESTED_SDK = "1.45.1"  # and later releases of that series: the pin in pyproject.toml
INSTALLED_SDK = version("opentelemetry-sdk")

METRIC_EXPORT_LOGGER = "opentelemetry.sdk.metrics._internal.export"
"""The logger to which the SDK reports each failed export of metrics."""

LOG_EXPORT_LOGGER = "opentelemetry.exporter.otlp.proto.http._log_exporter"
"""The logger to which the stock exporter reports each failed export of log lines over HTTP."""


def is_tested() -> bool:
    """Whether the installed SDK is of the tested series, so that its private names mean what we think."""
    (series, oldest), (installed, _, patch) = TESTED_SDK.rsplit(".", 1), INSTALLED_SDK.rpartition(".")
    return installed == series and patch.isdecimal() and int(patch) >= int(oldest)


# The current context


SPAN_KEY = _SPAN_KEY
"""The key of the current span in a context: a context with several entries is made at once with it."""


def _context_functions() -> tuple[
    Callable[[], Context], Callable[[Context], Token[Context]], Callable[[Token[Context]], None]
]:
    if isinstance(_RUNTIME_CONTEXT, ContextVarsRuntimeContext):
        variable = _RUNTIME_CONTEXT._current_context
        return variable.get, variable.set, variable.reset
    return get_current, attach, detach  # OTEL_PYTHON_CONTEXT


current_context, attach_context, detach_context = _context_functions()
"""OpenTelemetry's functions without two calls each, but `detach_context` raises ValueError in another context."""

# Spans


class OnEndingProcessor(SpanProcessor):
    """A processor with OpenTelemetry's experimental OnEnding hook: called last before a span ends."""

    def __init_subclass__(cls) -> None:
        cls._on_ending = cls.on_ending  # type: ignore[method-assign,assignment] # an alias saves a call per span

    def on_ending(self, span: Span) -> None:
        """Change a span that is about to end."""


ending_fields: Callable[[Span], tuple[Any, str, Status, Any]] = attrgetter("_attributes", "_name", "_status", "_events")
"""Attributes, name, status and events of a span; its public properties copy the attributes and events."""


def set_name(span: Span, name: str) -> None:
    """Rename a span whose setters the SDK has closed."""
    span._name = name


def set_status(span: Span, status: Status) -> None:
    """Set the status of a span whose setters the SDK has closed."""
    span._status = status


def set_event_name(event: Event, name: str) -> None:
    """Rename an event."""
    event._name = name


def set_event_attributes(event: Event, attributes: Mapping[str, AnyValue]) -> None:
    """Replace the attributes of an event."""
    event._attributes = attributes


def mutable_attributes(attributes: Any) -> dict[str, Any]:
    """Return the dictionary inside attributes that the SDK has closed; a new one where it has none."""
    if type(attributes) is dict:  # of a redacted event
        return attributes
    return attributes._dict if isinstance(attributes, BoundedAttributes) else {}


def compact(span: ReadableSpan) -> None:
    """Drop the empty containers of an ended span. The encoders read both forms."""
    # Empty deques and their locks are three quarters of a span's 3 KB. Without them a full queue takes 50 MB instead of
    # 190, and the garbage collector a third of the time.
    if not span._events:
        span._events = ()
    if not span._links:
        span._links = ()
    attributes = span._attributes
    if isinstance(attributes, BoundedAttributes) and not attributes.dropped:
        span._attributes = attributes.copy()


# Metrics


class CompletingReader(MetricReader):
    """A reader whose metrics are completed before they are exported. A base class beside one of the SDK's readers."""

    complete: Callable[[MetricsData], MetricsData] = staticmethod(lambda data: data)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> None:
        super()._receive_metrics(self.complete(metrics_data), timeout_millis, **options)  # type: ignore[safe-super]


def temporality_of(reader: MetricReader, instrument: type) -> AggregationTemporality:
    """The temporality that a reader wants of a kind of instrument."""
    return (reader._preferred_temporality or {}).get(instrument, AggregationTemporality.CUMULATIVE)


class TickingReader(PeriodicExportingMetricReader):
    """The SDK's periodic reader, whose thread runs `run`."""

    def run(self, tick: Callable[[], None], stopping: ThreadEvent) -> None:
        """Run the SDK's loop of exports, `tick`, which ends after `stopping` is set."""
        tick()

    def _ticker(self) -> None:
        self.run(super()._ticker, self._shutdown_event)


class TranslatingReader:
    """A mixin of a reader that changes metrics before the reader gets them."""

    def translate(self, data: MetricsData) -> MetricsData:
        """Return the metrics that the reader gets."""
        raise NotImplementedError

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> None:
        super()._receive_metrics(self.translate(metrics_data), timeout_millis, **options)  # type: ignore[misc] # as above


# Providers that `opentelemetry-instrument` installed


def add_resource(provider: TracerProvider | MeterProvider, own: Resource) -> None:
    """Add the attributes of our resource that a provider's lacks; its service.name too if it is the SDK's default."""
    if not is_tested():
        return
    given = provider._sdk_config.resource if isinstance(provider, MeterProvider) else provider.resource
    unnamed = str(given.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    missing = {
        key: value
        for key, value in own.attributes.items()
        if key not in given.attributes or (key == SERVICE_NAME and unnamed)
    }
    provider._update_resource(Resource(missing))


# Exporters: mixins, because the modules of the stock exporters are imported when one is chosen


class GrpcExporterHooks:
    """The hooks of the stock gRPC exporter, with public names."""

    encode: Callable[[Sequence[Any]], Any]
    """Makes the request that is given to the stub."""

    _channel: Any
    _retryable_error_codes: Any

    def make_client(self, channel: Any) -> Any:
        """Return the stub for a channel: an object with a method `Export`."""
        raise NotImplementedError

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[misc] # of the exporter that this is mixed into
        self._client = self.make_client(self._channel)

    def _translate_data(self, data: Sequence[Any]) -> Any:
        return self.encode(data)


class HttpExporterHooks:
    """The private fields of the stock HTTP exporter that `export.http` reads, and the newest response."""

    response: Any
    """The status, header fields and content, after `keep_responses`."""

    _client: Any
    _max_request_size: int
    _metrics: Any
    _shutdown: bool

    def keep_responses(self) -> None:
        """Store each response in `response`, because the stock client returns its status only."""
        transport = self._client._transport
        request = transport.request

        def request_and_keep(*arguments: Any, **options: Any) -> Any:
            self.response = request(*arguments, **options)
            return self.response

        transport.request = request_and_keep


def load_log_exporter(name: str) -> Any:
    """Return a stock exporter of log lines; its module has a private name, because the SDK's logs are not stable."""
    return entry_points(group="opentelemetry_logs_exporter", name=name)[name].load()


# Instrumentations


def is_traced(engine: Any) -> bool:
    """Whether `opentelemetry-instrument` traces the statements of an engine already."""
    return any(
        getattr(listener, "__module__", "").startswith("opentelemetry.instrumentation.sqlalchemy")
        for listener in engine.dispatch.before_cursor_execute
    )


def is_instrumented(app: Any) -> bool:
    """Whether `opentelemetry-instrument`, or a call of FastAPI's instrumentation, traces this application already."""
    return bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
