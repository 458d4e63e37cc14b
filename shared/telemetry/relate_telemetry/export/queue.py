"""A bounded queue of ended spans and the thread that exports them in batches. Ending a span only appends to the queue.

It replaces the SDK's BatchSpanProcessor, which drops spans without counting them and takes 30 s to shut down when the
Collector is down. When the queue is full, by count or by octets, the oldest span is dropped: the present matters more.
"""

import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from relate_supervisor import Supervisor
from relate_telemetry.environment import parse_count, parse_seconds
from relate_telemetry.redaction import STATEMENT_KEYS
from relate_telemetry.sdk_internals import compact, is_tested

MIN_DELAY_SECONDS = 0.01  # with OTEL_BSP_SCHEDULE_DELAY=0: the thread must not wake without a pause
SHUTDOWN_SECONDS = 4.0  # of the 5 s that telemetry has to shut down


class QueueLimits(NamedTuple):
    """Bounds of the queue and of one batch. Octets of an SDK span are those of its texts, which clients choose."""

    spans: int = 65536  # half a minute, such as a restart of the Collector, at 2,000 spans/s
    batch_spans: int = 512  # as in the SDK: larger batches are no cheaper per span, and could exceed gRPC's 4 MB
    delay_seconds: float = 1.0  # until an incomplete batch is exported; the SDK's 5 s is long in front of a console
    octets: int = 32 * 2**20  # a command's span has some 300, that of a malicious request several thousand
    batch_octets: int = 2 * 2**20  # below gRPC's 4 MB with the texts of statements, which an SDK span does not count


def limits_from_environment(environ: Mapping[str, str] = os.environ) -> QueueLimits:
    """The limits, with the standard OTEL_BSP_* variables where set. Raises ValueError naming a malformed variable."""
    default = QueueLimits()
    spans = parse_count(environ, OTEL_BSP_MAX_QUEUE_SIZE, default.spans)
    batch = parse_count(environ, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, default.batch_spans)
    delay = parse_seconds(environ, OTEL_BSP_SCHEDULE_DELAY, default.delay_seconds)
    return QueueLimits(spans, min(batch, spans), max(delay, MIN_DELAY_SECONDS))


SpanT = TypeVar("SpanT")
_SpanT_contra = TypeVar("_SpanT_contra", contravariant=True)


class BatchExporter(Protocol[_SpanT_contra]):
    """Exports batches of spans: ours take octets, the SDK's take its spans."""

    def export(self, spans: Sequence[_SpanT_contra], /) -> SpanExportResult:
        """Export a batch."""

    def shutdown(self) -> None:
        """Release resources."""


class SpanQueue(Generic[SpanT]):
    """Exports ended spans in batches, and counts in `dropped` those that it could not export.

    The reasons are `queue_full`, `export_failed` and `shutdown`. `count_octets` says how much memory a span takes.
    """

    def __init__(
        self,
        exporter: BatchExporter[SpanT],
        count_octets: Callable[[SpanT], int],
        limits: QueueLimits | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._exporter = exporter
        self._limits = limits or QueueLimits()
        self._supervisor = supervisor or Supervisor()
        self._stopping = threading.Event()
        self._joined = False
        self._count_octets = count_octets
        self._start()
        reference = weakref.WeakMethod(self._start)
        os.register_at_fork(after_in_child=lambda: _restart(reference))

    def _start(self) -> None:
        self._spans: deque[SpanT] = deque()
        self._octets = 0  # of them
        self._exporting = 0  # spans in the batch that is being exported
        self._flushing = False
        # Reentrant, because a garbage collection inside the lock may finalize a generator that ends a span.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = self._supervisor.keep_thread("telemetry.spans", self._run, self._stopping)

    def put(self, span: SpanT) -> None:
        """Enqueue a span."""
        limits = self._limits
        with self._lock:
            if self._stopping.is_set():
                self.dropped["shutdown"] += 1
                return
            self._spans.append(span)
            self._octets += self._count_octets(span)
            while len(self._spans) > limits.spans or self._octets > limits.octets:
                self._pop()
                self.dropped["queue_full"] += 1
            if len(self._spans) == limits.batch_spans:
                self._changed.notify_all()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export all enqueued spans. Return whether that was done in time."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            return self._changed.wait_for(self._is_idle, timeout_millis / 1000)

    def shutdown(self) -> None:
        """Export all enqueued spans and end the thread, within SHUTDOWN_SECONDS."""
        self.stop()
        self.join(time.monotonic() + SHUTDOWN_SECONDS)

    def stop(self) -> None:
        """Refuse further spans, and export the enqueued ones without delay."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the last export until `deadline` (of time.monotonic), then drop the rest. Idempotent."""
        if self._joined:
            return
        self._joined = True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._discard()
        self._exporter.shutdown()

    def _is_idle(self) -> bool:
        return not self._spans and not self._exporting

    def _is_due(self) -> bool:
        limits = self._limits
        is_full = len(self._spans) >= limits.batch_spans or self._octets >= limits.batch_octets
        return is_full or self._flushing or self._stopping.is_set()

    def _pop(self) -> SpanT:
        span = self._spans.popleft()
        self._octets -= self._count_octets(span)
        return span

    def _pop_batch(self) -> list[SpanT]:
        batch: list[SpanT] = []
        limits, remaining = self._limits, self._octets - self._limits.batch_octets
        while self._spans and len(batch) < limits.batch_spans and (not batch or self._octets > remaining):
            batch.append(self._pop())
        return batch

    def _discard(self) -> None:
        self.dropped["shutdown"] += len(self._spans)
        self._spans.clear()
        self._octets = 0

    def _run(self) -> None:
        with suppress_instrumentation():  # so that the exporter's own requests are not traced
            while batch := self._next_batch():
                exported = False
                try:
                    exported = self._exporter.export(batch) is SpanExportResult.SUCCESS
                finally:
                    self._finish_batch(len(batch), exported)

    def _next_batch(self) -> list[SpanT]:
        """Wait for the next spans to export. An empty list ends the thread."""
        with self._changed:
            while True:
                self._changed.wait_for(self._is_due, self._limits.delay_seconds)
                batch = self._pop_batch()
                self._exporting = len(batch)
                if batch or self._stopping.is_set():
                    return batch
                self._finish_flush()

    def _finish_batch(self, count: int, exported: bool) -> None:
        with self._changed:
            self._exporting = 0
            if not exported:
                self.dropped["export_failed"] += count
            if self._stopping.is_set() and not exported:
                self._discard()  # the next export would fail as slowly as this one
            self._finish_flush()

    def _finish_flush(self) -> None:
        if self._flushing and not self._spans:
            self._flushing = False
            self._changed.notify_all()


class QueueProcessor(SpanProcessor):
    """Puts the spans of the SDK into a queue."""

    def __init__(self, queue: SpanQueue[ReadableSpan]) -> None:
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


def _restart(reference: "weakref.WeakMethod[Callable[[], None]]") -> None:
    if start := reference():
        start()
