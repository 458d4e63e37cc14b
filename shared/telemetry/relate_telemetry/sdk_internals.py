"""Every private name of OpenTelemetry that Relate Mail uses; a test checks that no other file uses one.

A release of OpenTelemetry may change any of them, so pyproject.toml pins the versions against which the tests compare
our spans, metrics and requests with the SDK's. With another version the SDK's own classes are used; redaction stays.
A subclass of one of its classes declares the private fields that it uses in a base class here.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points, version
from operator import attrgetter
from threading import Event as ThreadEvent
from threading import Lock
from typing import Any, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics.export import MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, Tracer
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
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


# Spans


class SpanFields(Span):
    """The SDK's span without its constructor: the private fields that `fast.span` sets, and hooks with public names."""

    _attributes: Any
    _context: SpanContext
    _end_time: int | None = None
    _events: Any = ()
    _links: Any = ()
    _record_exception = True
    _set_status_on_exception = True
    _start_time: int | None
    _status = Status(StatusCode.UNSET)

    def __init__(
        self, tracer: Tracer, name: str, context: SpanContext, parent: SpanContext | None, kind: SpanKind
    ) -> None:
        self._span_processor = tracer.span_processor
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._resource = tracer.resource
        self._instrumentation_scope = tracer._instrumentation_scope
        self._instrumentation_info = tracer.instrumentation_info
        self._limits = tracer._span_limits
        self._lock = Lock()
        self._attributes = {}

    def prepare_events(self) -> None:
        """Called before the SDK appends an event."""

    def prepare_links(self) -> None:
        """Called before the SDK appends a link."""

    def make_links(self, links: Sequence[Link]) -> Any:
        """Return the SDK's container with those links that it accepts."""
        return self._new_links(links)

    def _add_event(self, event: Any) -> None:
        self.prepare_events()
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        self.prepare_links()
        super()._add_link(link)


class OnEndingProcessor(SpanProcessor):
    """A processor with OpenTelemetry's experimental OnEnding hook: called last before a span ends."""

    def __init_subclass__(cls) -> None:
        cls._on_ending = cls.on_ending  # type: ignore[method-assign,assignment] # an alias saves a call per span

    def on_ending(self, span: Span) -> None:
        """Change a span that is about to end."""


def notify_ending(processor: SpanProcessor, span: Span) -> None:
    """Call the OnEnding hook of a processor."""
    processor._on_ending(span)


def enabled_check(instrument: Any) -> Callable[[], bool]:
    """Return the method of a tracer or of a metric's instrument that says whether it is enabled."""
    check: Callable[[], bool] = instrument._is_enabled
    return check


ending_fields: Callable[[Span], tuple[Any, str, Status, Any]] = attrgetter("_attributes", "_name", "_status", "_events")
"""Attributes, name, status and events of a span; its public properties copy the attributes and events."""

stored_events: Callable[[ReadableSpan], Sequence[Event]] = attrgetter("_events")
"""The events of a span, without the copy that its property makes."""


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
    if type(attributes) is dict:  # of a fast span
        return attributes
    return attributes._dict if isinstance(attributes, BoundedAttributes) else {}


def close_attributes(attributes: BoundedAttributes) -> None:
    """Make attributes immutable, as the SDK does at the end of a span."""
    attributes._immutable = True


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


class Binding(NamedTuple):
    """Where the SDK puts the measurements of one histogram with one set of attributes."""

    readers: object  # for which the aggregations were found
    aggregations: Sequence[Any]
    is_enabled: Callable[[], bool]
    should_sample: Callable[..., bool]  # of the exemplar filter


def measurement_consumer(histogram: Histogram) -> Any:
    """Return the SDK's consumer of a histogram's measurements; None without the SDK."""
    return getattr(histogram, "_measurement_consumer", None)


reader_storages: Callable[[Any], object] = attrgetter("_reader_storages")
"""The storages of a consumer by reader: another object as soon as a reader is added."""


def bind_histogram(histogram: Histogram, attributes: Mapping[str, str]) -> Binding | None:
    """Find the aggregations that the SDK made for attributes; None where there are none, or the SDK is untested."""
    consumer = measurement_consumer(histogram)
    if consumer is None or not is_tested():
        return None
    try:
        readers = consumer._reader_storages
        aggregations = [
            _find_aggregation(match, attributes)
            for reader in readers.values()
            for match in reader._get_or_init_view_instrument_match(histogram)
        ]
        should_sample = consumer._sdk_config.exemplar_filter.should_sample
        return Binding(readers, aggregations, enabled_check(histogram), should_sample)
    except (AttributeError, StopIteration):  # another implementation of the API, or a disabled meter
        return None


def _find_aggregation(match: Any, attributes: Mapping[str, str]) -> Any:
    """The aggregation for those attributes that a view lets through. Raises StopIteration if none can be bound."""
    if getattr(match, "_reset_on_collect", False):  # since 1.45.2: each collection replaces the aggregations
        raise StopIteration
    wanted = match._view._attribute_keys
    viewed = {key: value for key, value in attributes.items() if wanted is None or key in wanted}
    return next(each for each in match._attributes_aggregation.values() if each._attributes == viewed)


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


# Exporters: mixins, because the modules of the stock exporters are imported when one is chosen


class GrpcExporterHooks:
    """The hooks of the stock gRPC exporter, with public names."""

    _channel: Any

    def make_client(self, channel: Any) -> Any:
        """Return the stub for a channel: an object with a method `Export`."""
        raise NotImplementedError

    def encode(self, spans: Sequence[ReadableSpan]) -> Any:
        """Return the request that is given to the stub."""
        raise NotImplementedError

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[misc] # of the exporter that this is mixed into
        self._client = self.make_client(self._channel)

    def _translate_data(self, data: Sequence[ReadableSpan]) -> Any:
        return self.encode(data)


class HttpExporterFields:
    """The private fields of the stock HTTP exporter that `export.http` reads."""

    _client: Any
    _max_request_size: int
    _metrics: Any
    _shutdown: bool


def load_log_exporter(name: str) -> Any:
    """Return a stock exporter of log lines; its module has a private name, because the SDK's logs are not stable."""
    return entry_points(group="opentelemetry_logs_exporter", name=name)[name].load()


# Instrumentations


class StatementHook:
    """The hook of SQLAlchemy's instrumentation before a statement. A mixin, because SQLAlchemy is optional."""

    def __init_subclass__(cls) -> None:
        cls._before_cur_exec = cls.before_execute  # type: ignore[attr-defined] # an alias, as above

    def before_execute(  # noqa: PLR0917 - SQLAlchemy's event
        self, conn: Any, cursor: Any, statement: str, params: Any, context: Any, executemany: bool
    ) -> Any:
        """Start the span of a statement, as the stock instrumentation does."""
        return super()._before_cur_exec(conn, cursor, statement, params, context, executemany)  # type: ignore[misc]


def statement_span(context: Any) -> object:
    """Return the span that the instrumentation keeps in SQLAlchemy's execution context; None if there is none."""
    return getattr(context, "_otel_span", None)


def set_statement_span(context: Any, span: object) -> None:
    """Hand a span to the instrumentation, which ends it after the statement."""
    context._otel_span = span


def is_instrumented(app: Any) -> bool:
    """Whether `opentelemetry-instrument`, or a call of FastAPI's instrumentation, traces this application already."""
    return bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
