"""Spans, metric points and log lines as plain values, decoded from OTLP requests.

A receiver of requests from other processes and an in-memory recorder both fill `Received`, so tests read them alike.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.text_format import MessageToString  # type: ignore[import-untyped] # protobuf has no annotations
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status as WireStatus

WAIT_SECONDS = 10.0  # long enough for a loaded machine

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    """A link: ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event on a span."""

    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span: ids in lower-case hexadecimal, `parent_id` empty at a root, times in nanoseconds."""

    name: str
    kind: str  # INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    status: str  # UNSET, OK, ERROR
    description: str  # of the status
    attributes: Attributes
    links: tuple[ReceivedLink, ...]
    events: tuple[ReceivedEvent, ...]
    scope: str
    resource: Attributes

    @property
    def traceparent(self) -> str:
        """The span's context as W3C writes it, sampled."""
        return f"00-{self.trace_id}-{self.span_id}-01"


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """The newest value of one time series: a sum's or gauge's value, or a histogram's sum, count and buckets."""

    name: str
    kind: str  # counter, updowncounter, gauge, histogram
    unit: str
    description: str
    value: float
    attributes: Attributes
    scope: str
    resource: Attributes
    count: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    exemplars: tuple[str, ...] = ()  # their trace ids


@dataclass(frozen=True, slots=True)
class ReceivedLog:
    """A log line: ids in lower-case hexadecimal, empty outside of a span."""

    body: str
    severity: int
    severity_text: str
    attributes: Attributes
    trace_id: str
    span_id: str
    time: int  # in nanoseconds
    scope: str
    resource: Attributes


class Received:
    """All spans, metric points and log lines received so far. Safe to read while further requests arrive."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._spans: list[ReceivedSpan] = []
        self._logs: list[ReceivedLog] = []
        self._points: dict[Any, ReceivedPoint] = {}
        self._changed = threading.Condition()

    def spans(self, name: str | None = None, **attributes: Any) -> list[ReceivedSpan]:
        """The spans, in the order in which they ended; of that name and with these attributes (dots as `__`)."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        with self._changed:
            found = list(self._spans)
        return [span for span in found if name in (None, span.name) and wanted.items() <= span.attributes.items()]

    def span(self, name: str, **attributes: Any) -> ReceivedSpan:
        """The one span of that name and with these attributes. Raises LookupError unless there is exactly one."""
        found = self.spans(name, **attributes)
        if len(found) != 1:
            raise LookupError(f"{len(found)} spans {name} {attributes} among {[span.name for span in self.spans()]}")
        return found[0]

    def logs(self, body: str | None = None) -> list[ReceivedLog]:
        """The log lines in the order of their arrival; those with that text."""
        with self._changed:
            return [log for log in self._logs if body in (None, log.body)]

    def metric(self, name: str) -> list[ReceivedPoint]:
        """The newest point of every time series of that name."""
        return [point for point in self.points() if point.name == name]

    def points(self) -> list[ReceivedPoint]:
        """The newest point of every time series."""
        with self._changed:
            return list(self._points.values())

    def total(self, name: str, **attributes: Any) -> float:
        """The sum over the time series of that name with these attributes; 0 where there is none."""
        return sum(p.value for p in self.metric(name) if attributes.items() <= p.attributes.items())

    def everything(self) -> str:
        """The text of all requests, to search for texts that must not be in them."""
        with self._changed:
            return "\n".join(self._texts)

    def wait_for(self, predicate: Callable[["Received"], Any], timeout: float = WAIT_SECONDS) -> Any:
        """Wait until `predicate` of this is true, and return its result. Raises TimeoutError after `timeout` seconds.

        It blocks the thread: in a coroutine, use `asyncio.to_thread`.
        """
        with self._changed:
            result = self._changed.wait_for(lambda: predicate(self), timeout)
        if not result:
            raise TimeoutError(f"not seen in {timeout} s; spans: {[span.name for span in self.spans()]}")
        return result

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """Add the content of one OTLP request."""
        spans = [
            _decode_span(span, scoped.scope.name, _decode_attributes(resource.resource.attributes))
            for resource in request.resource_spans
            for scoped in resource.scope_spans
            for span in scoped.spans
        ]
        with self._changed:
            self._spans += spans
            self._add_text(request)

    def add_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Add the content of one OTLP request."""
        points = [
            point
            for resource in request.resource_metrics
            for scoped in resource.scope_metrics
            for metric in scoped.metrics
            for point in _decode_metric(metric, scoped.scope.name, _decode_attributes(resource.resource.attributes))
        ]
        with self._changed:
            self._points.update((_series(point), point) for point in points)
            self._add_text(request)

    def add_logs(self, request: ExportLogsServiceRequest) -> None:
        """Add the content of one OTLP request."""
        logs = [
            _decode_log(record, scoped.scope.name, _decode_attributes(resource.resource.attributes))
            for resource in request.resource_logs
            for scoped in resource.scope_logs
            for record in scoped.log_records
        ]
        with self._changed:
            self._logs += logs
            self._add_text(request)

    def _add_text(self, request: object) -> None:
        self._texts.append(MessageToString(request, as_utf8=True))
        self._changed.notify_all()


def _decode_span(span: WireSpan, scope: str, resource: Attributes) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=WireStatus.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        description=span.status.message,
        attributes=_decode_attributes(span.attributes),
        links=tuple(
            ReceivedLink(link.trace_id.hex(), link.span_id.hex(), _decode_attributes(link.attributes))
            for link in span.links
        ),
        events=tuple(ReceivedEvent(event.name, _decode_attributes(event.attributes)) for event in span.events),
        scope=scope,
        resource=resource,
    )


def _decode_log(record: LogRecord, scope: str, resource: Attributes) -> ReceivedLog:
    return ReceivedLog(
        body=record.body.string_value,
        severity=record.severity_number,
        severity_text=record.severity_text,
        attributes=_decode_attributes(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        time=record.time_unix_nano,
        scope=scope,
        resource=resource,
    )


def _decode_metric(metric: Metric, scope: str, resource: Attributes) -> Iterable[ReceivedPoint]:
    kind, points = _kind_and_points(metric)
    for point in points:
        values = _decode_histogram(point) if isinstance(point, HistogramDataPoint) else _decode_number(point)
        yield ReceivedPoint(
            name=metric.name,
            kind=kind,
            unit=metric.unit,
            description=metric.description,
            attributes=_decode_attributes(point.attributes),
            scope=scope,
            resource=resource,
            exemplars=tuple(exemplar.trace_id.hex() for exemplar in point.exemplars),
            **values,
        )


def _kind_and_points(metric: Metric) -> tuple[str, Iterable[HistogramDataPoint | NumberDataPoint]]:
    if metric.HasField("histogram"):
        return "histogram", metric.histogram.data_points
    if metric.HasField("gauge"):
        return "gauge", metric.gauge.data_points
    return "counter" if metric.sum.is_monotonic else "updowncounter", metric.sum.data_points


def _decode_histogram(point: HistogramDataPoint) -> dict[str, Any]:
    return {
        "value": point.sum,
        "count": point.count,
        "bounds": tuple(point.explicit_bounds),
        "buckets": tuple(point.bucket_counts),
    }


def _decode_number(point: NumberDataPoint) -> dict[str, Any]:
    return {"value": point.as_double if point.HasField("as_double") else point.as_int}


def _decode_attributes(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _decode_value(pair.value) for pair in attributes}


def _decode_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_decode_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return _decode_attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _series(point: ReceivedPoint) -> tuple[Any, ...]:
    instance = point.resource.get("service.instance.id")
    return instance, point.scope, point.name, tuple(sorted(point.attributes.items()))
