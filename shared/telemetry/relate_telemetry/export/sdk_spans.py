"""Spans of the SDK in an export queue: what puts them in, how much memory they take, and their exporters."""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from relate_telemetry.export.queue import ExportQueue
from relate_telemetry.redaction import STATEMENT_KEYS
from relate_telemetry.sdk_internals import compact, is_tested


class QueueProcessor(SpanProcessor):
    """Puts the spans of the SDK into a queue."""

    def __init__(self, queue: ExportQueue[ReadableSpan]) -> None:
        self._queue = queue
        self._compacts = is_tested()

    def on_end(self, span: ReadableSpan) -> None:
        """Put a span into the queue, unless it is not sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            if self._compacts:
                compact(span)
            self._queue.put(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export all spans in the queue. Return whether that was done in time."""
        return self._queue.force_flush(timeout_millis)


class SdkExporter:
    """An exporter of the SDK as `queue.Exporter`. It tells only whether a batch was exported."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.shutdown = exporter.shutdown

    def send(self, batch: Sequence[ReadableSpan]) -> Mapping[str, int]:
        """See `queue.Exporter.send`."""
        if self._exporter.export(batch) is SpanExportResult.SUCCESS:
            return {}
        return {"export_failed": len(batch)}


def count_octets(span: ReadableSpan) -> int:
    """The octets of a span's texts, but for statements, whose text is one string for all their spans."""
    attributes = (span.attributes or {}, *(event.attributes or {} for event in span.events))
    return sum(map(_count_attributes, attributes))


def _count_attributes(attributes: Mapping[str, object]) -> int:
    return sum(_count_value(value) for key, value in attributes.items() if key not in STATEMENT_KEYS)


def _count_value(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Sequence):
        return sum(map(_count_value, value))
    return 0
