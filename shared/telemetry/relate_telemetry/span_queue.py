"""The way out for spans: a bounded queue and one thread that exports from it. The hot path only appends.

It stands in for the SDK's BatchSpanProcessor, which loses spans uncounted and takes 30 s to shut down in front of a
dead collector. When the queue is full the oldest span goes: what happens now matters more than what happened then.
"""

import logging
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

SHUTDOWN_SECONDS = 4.0  # within the 5 s that a whole service has, with room for what comes after

_logger = logging.getLogger(__name__)


class QueueLimits(NamedTuple):
    """Spans that wait at most, spans of one export, and seconds that a span waits for company."""

    size: int = 65536  # a collector's restart of half a minute at 2,000 spans/s; some 50 MB when full
    batch: int = 512  # the SDK's own: larger ones are no cheaper a span, and stay clear of gRPC's 4 MB
    delay: float = 1.0  # the SDK's 5 s is long for someone who watches what their mail client does


def limits_from_environment(environ: Mapping[str, str] = os.environ) -> QueueLimits:
    """The standard OTEL_BSP_* variables where set. Raises ValueError naming the variable."""
    standard = QueueLimits()
    size = _positive(environ, OTEL_BSP_MAX_QUEUE_SIZE, standard.size)
    batch = _positive(environ, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, standard.batch)
    delay = _positive(environ, OTEL_BSP_SCHEDULE_DELAY, round(standard.delay * 1000))
    return QueueLimits(size, min(batch, size), delay / 1000)


def _positive(environ: Mapping[str, str], variable: str, standard: int) -> int:
    text = environ.get(variable, "").strip()
    if not text:
        return standard
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{variable}: a positive whole number is needed, not {text!r}")
    return int(text)


class SpanQueue(SpanProcessor):
    """Takes ended spans, exports them in batches, and counts what is lost by reason.

    `dropped` has the reasons `queue_full`, `export_failed` and `shutdown`.
    """

    def __init__(self, exporter: SpanExporter, limits: QueueLimits | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._exporter = exporter
        self._limits = limits or QueueLimits()
        self._stopping = False
        self._joined = False
        self._start()
        reference = weakref.WeakMethod(self._start)
        os.register_at_fork(after_in_child=lambda: _restart(reference))

    def _start(self) -> None:
        self._spans: deque[ReadableSpan] = deque()
        self._exporting = 0
        self._flushing = False
        # Reentrant: a garbage collection within may finalize something that ends a span.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="relate-spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended, if it is sampled."""
        if not span.context.trace_flags.sampled:
            return
        _slim(span)
        with self._lock:
            if self._stopping:
                self.dropped["shutdown"] += 1
                return
            if len(self._spans) >= self._limits.size:
                self._spans.popleft()
                self.dropped["queue_full"] += 1
            self._spans.append(span)
            if len(self._spans) == self._limits.batch:
                self._changed.notify_all()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what waits; whether that was done in time."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            return self._changed.wait_for(self._is_idle, timeout_millis / 1000)

    def shutdown(self) -> None:
        """Export what waits and end, within SHUTDOWN_SECONDS."""
        self.stop()
        self.join(time.monotonic() + SHUTDOWN_SECONDS)

    def stop(self) -> None:
        """Take no more spans, and export those that wait without delay."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the last export until `deadline` (of time.monotonic), then give up on it. Harmless when repeated."""
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
        return self._stopping or self._flushing or len(self._spans) >= self._limits.batch

    def _discard(self) -> None:
        self.dropped["shutdown"] += len(self._spans)
        self._spans.clear()

    def _run(self) -> None:
        with suppress_instrumentation():  # an exporter's own HTTP requests are not to be traced
            while batch := self._next_batch():
                self._settle(len(batch), self._export(batch))

    def _next_batch(self) -> list[ReadableSpan]:
        """The next spans to export; empty when the end has come."""
        with self._changed:
            while True:
                self._changed.wait_for(self._is_due, self._limits.delay)
                self._exporting = min(len(self._spans), self._limits.batch)
                if self._exporting or self._stopping:
                    return [self._spans.popleft() for _ in range(self._exporting)]
                self._settle_flush()

    def _export(self, batch: list[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            _logger.exception("the span exporter failed")
            return False

    def _settle(self, count: int, exported: bool) -> None:
        with self._changed:
            self._exporting = 0
            if not exported:
                self.dropped["export_failed"] += count
            if self._stopping and not exported:
                self._discard()  # each further attempt would only wait for the same dead collector
            self._settle_flush()

    def _settle_flush(self) -> None:
        if self._flushing and not self._spans:
            self._flushing = False
            self._changed.notify_all()


def _slim(span: ReadableSpan) -> None:
    # Empty deques and their locks are three quarters of a span's 3 KB; without them a full queue takes 50 MB instead of
    # 190, and the garbage collector a third of the time over it. The encoders read both forms.
    if not span._events:
        span._events = ()
    if not span._links:
        span._links = ()
    attributes = span._attributes
    if isinstance(attributes, BoundedAttributes) and not attributes.dropped:
        span._attributes = attributes.copy()


def _restart(reference: "weakref.WeakMethod[Callable[[], None]]") -> None:
    if start := reference():
        start()
