"""Log lines as OTLP log records: the structured fields of a JSON line become attributes under the same names."""

from collections.abc import Iterable, Mapping, Sequence
from time import time_ns
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as WireResource
from opentelemetry.sdk.resources import Resource

from relate_telemetry.redaction import MAX_TRACEBACK_CHARACTERS, hide_keys

MAX_FIELDS = 64  # of a line, and items of one field; our own lines have some ten

# Fields of a line that are no attributes, because a log record or its resource has a field for each.
RECORD_FIELDS = frozenset({"event", "level", "logger", "service", "span_id", "timestamp", "trace_id"})

_SEVERITIES = {
    "debug": SeverityNumber.SEVERITY_NUMBER_DEBUG,
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
    "critical": SeverityNumber.SEVERITY_NUMBER_FATAL,
}
_INT64 = range(-(1 << 63), 1 << 63)


def encode_line(logger: str, event: Mapping[str, Any]) -> bytes:
    """Encode a line as a ResourceLogs without its resource.

    `event` is the line's dictionary, redacted, with `trace_id` and `span_id` in hexadecimal; the scope is its logger.
    """
    scope_logs = ScopeLogs(scope=InstrumentationScope(name=logger), log_records=[_make_record(event)])
    encoded: bytes = ResourceLogs(scope_logs=[scope_logs]).SerializeToString()
    return encoded


def encode_log_request(resource: Resource, lines: Sequence[bytes]) -> bytes:
    """Encode an ExportLogsServiceRequest. Concatenated messages of Protocol Buffers are one message."""
    attributes = _make_pairs(resource.attributes)
    own = ResourceLogs(resource=WireResource(attributes=attributes), schema_url=resource.schema_url)
    logs = ResourceLogs.FromString(own.SerializeToString() + b"".join(lines))
    encoded: bytes = ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString()
    return encoded


def _make_record(event: Mapping[str, Any]) -> LogRecord:
    level = str(event.get("level", ""))
    fields = {key: value for key, value in event.items() if key not in RECORD_FIELDS and not key.startswith("_")}
    now = time_ns()
    return LogRecord(
        time_unix_nano=now,
        observed_time_unix_nano=now,
        severity_number=_SEVERITIES.get(level, SeverityNumber.SEVERITY_NUMBER_UNSPECIFIED),
        severity_text=level,
        body=_make_value(event.get("event", "")),
        attributes=_make_pairs(fields),
        dropped_attributes_count=max(0, len(fields) - MAX_FIELDS),
        trace_id=bytes.fromhex(event.get("trace_id", "")),
        span_id=bytes.fromhex(event.get("span_id", "")),
    )


def _make_pairs(fields: Mapping[Any, Any]) -> list[KeyValue]:
    return [KeyValue(key=_clean(str(key)), value=_make_value(fields[key])) for key in _first(fields)]


def _make_value(value: object) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int() if value in _INT64:
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case None:
            return AnyValue()
        case list() | tuple() | set() | frozenset():
            return AnyValue(array_value=ArrayValue(values=map(_make_value, _first(value))))
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=_make_pairs(value)))
        case _:  # as the JSON line shows it: a text, or the representation of an object
            return AnyValue(string_value=_clean(value if isinstance(value, str) else repr(value)))


def _first(items: Iterable[Any]) -> list[Any]:
    return list(items)[:MAX_FIELDS]


def _clean(text: str) -> str:
    """Hide keys, cut, and replace surrogates, which UTF-8 does not have."""
    return hide_keys(text)[:MAX_TRACEBACK_CHARACTERS].encode(errors="replace").decode()
