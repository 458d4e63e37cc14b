"""Logs: JSON lines to stderr with trace ids, and a filter that lets exporters report errors once per minute.

What is written to stderr can be exported over OTLP, too: `export_lines`.

Tracebacks contain frames and redacted messages, as in spans. Lines are ASCII without control characters, so that no
login or mailbox name controls a terminal.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

import structlog
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from relate_telemetry.redaction import hide_keys, safe_traceback
from relate_telemetry.sdk_internals import LOG_EXPORT_LOGGER, METRIC_EXPORT_LOGGER

THROTTLE_SECONDS = 60.0  # between two lines about a collector that is down

# The loggers that report each failed export. Each needs a filter, because a parent's filter does not apply to it.
_EXPORT_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    LOG_EXPORT_LOGGER,
    METRIC_EXPORT_LOGGER,
    "relate_telemetry.export",
)
# How the exporters report an endpoint that does not accept a signal, over gRPC and over HTTP.
_REFUSAL = re.compile(r".*?(?:error code: StatusCode\.UNIMPLEMENTED|code: (?:404|405|501)\b)")
# A line about telemetry is not exported, because the lines about a failing export would be an endless loop.
_TELEMETRY_LOGGERS = ("opentelemetry.", "relate_telemetry.")
_TELEMETRY_TASKS = "telemetry."

Sink = Callable[[str, Mapping[str, Any]], None]
_sinks: list[Sink] = []  # at most one


def add_trace_ids(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor that adds trace_id and span_id of the current span, if there is one."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor that hides API keys in all texts."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = hide_keys(value)
    return event


def export_lines(sink: Sink | None) -> None:
    """Call `sink` with the logger's name and the fields of each further line, before it is written; None ends that."""
    _sinks[:] = [sink] if sink else []


def export(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor that exports a line which is complete and redacted, unless it is about telemetry."""
    record: Any = event.get("_record")
    name = record.name if record is not None else getattr(logger, "name", "")
    if _sinks and not _is_about_telemetry(name, event):
        _sinks[0](name, event)
    return event


def _is_about_telemetry(name: str, event: EventDict) -> bool:
    is_task = str(event.get("task", "")).startswith(_TELEMETRY_TASKS)
    return is_task or name.startswith(_TELEMETRY_LOGGERS) or not is_instrumentation_enabled()


def configure_logging(service_name: str, stream: TextIO | None = None) -> None:
    """Write our own lines from INFO and those of libraries from WARNING, as JSON, to `stream` (default: stderr)."""
    output = stream or sys.stderr

    def add_service(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["service"] = service_name
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        add_trace_ids,
        structlog.processors.ExceptionRenderer(_format_exception),
        redact,
        export,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *names: _NamedLogger(output, *names),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(shared, output)


def throttle_exporters() -> None:
    """Let each exporter report once per minute that a collector does not answer. Idempotent."""
    for name in _EXPORT_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Throttle) for each in logger.filters):
            logger.addFilter(Throttle())


class _NamedLogger(structlog.WriteLogger):
    """Writes lines, and has the name that `structlog.get_logger` was called with."""

    def __init__(self, output: TextIO, name: str = "") -> None:
        super().__init__(output)
        self.name = name


class Throttle(logging.Filter):
    """Passes one line per THROTTLE_SECONDS, and appends how many were suppressed before it.

    That an endpoint refuses a signal is passed once, because only an administrator can change it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._refusals: set[str] = set()
        self._next = 0.0
        self._suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter.filter`."""
        if refusal := _REFUSAL.match(record.getMessage()):
            is_new = refusal.group() not in self._refusals
            self._refusals.add(refusal.group())
            return is_new
        now = time.monotonic()
        if now < self._next:
            self._suppressed += 1
            return False
        if self._suppressed:
            record.msg = f"{record.getMessage()} ({self._suppressed} more lines like this before)"
            record.args = None
        self._next, self._suppressed = now + THROTTLE_SECONDS, 0
        return True


def _configure_libraries(shared: Iterable[Processor], output: TextIO) -> None:
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def _to_json(event: EventDict, **options: Any) -> str:
    return json.dumps(event, **options).replace(
        "\x7f", "\\u007f"
    )  # the one control character that JSON does not escape


def _add_logger_name(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def _format_exception(exc_info: ExcInfo) -> str:
    return safe_traceback(exc_info[1])
