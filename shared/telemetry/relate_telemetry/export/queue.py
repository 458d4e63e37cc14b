"""The way out for spans: a bounded queue and one thread that exports from it. The hot path only appends.

It stands in for the SDK's BatchSpanProcessor, which loses spans uncounted and takes 30 s to shut down in front of a
dead collector. When the queue is full, by count or by octets, the oldest span goes: what happens now matters more than
what happened then.
"""

import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
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

from relate_supervisor import Supervisor
from relate_telemetry.redaction import LONG_TEXTS, STATEMENTS, UNKNOWN

SHUTDOWN_SECONDS = 4.0  # within the 5 s that a whole service has, with room for what comes after


class QueueLimits(NamedTuple):
    """Spans that wait at most, spans of one export, seconds that a span waits for company; octets of text for both.

    Texts are what comes from outside: attributes and events. A span's own objects are bounded by the count.
    """

    size: int = 65536  # a collector's restart of half a minute at 2,000 spans/s; some 50 MB when full
    batch: int = 512  # the SDK's own: larger ones are no cheaper a span, and stay clear of gRPC's 4 MB
    delay: float = 1.0  # the SDK's 5 s is long for someone who watches what their mail client does
    octets: int = 32 * 2**20  # a mail command's span has some 80, a request's that means harm several thousand
    batch_octets: int = 2 * 2**20  # with the statements' texts, which are not counted, it is clear of 4 MB, too


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

    def __init__(
        self, exporter: SpanExporter, limits: QueueLimits | None = None, supervisor: Supervisor | None = None
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._exporter = exporter
        self._limits = limits or QueueLimits()
        self._supervisor = supervisor or Supervisor()
        self._stopping = threading.Event()
        self._joined = False
        self._start()
        reference = weakref.WeakMethod(self._start)
        os.register_at_fork(after_in_child=lambda: _restart(reference))

    def _start(self) -> None:
        self._spans: deque[ReadableSpan] = deque()
        self._weights: deque[int] = deque()  # of each span, the octets of its texts
        self._octets = 0  # of all
        self._exporting = 0
        self._flushing = False
        # Reentrant: a garbage collection within may finalize something that ends a span.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = self._supervisor.keep_thread("telemetry.spans", self._run, self._stopping)

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended, if it is sampled."""
        if not span.context.trace_flags.sampled:
            return
        _slim(span)
        octets, limits = _weigh(span), self._limits
        with self._lock:
            if self._stopping.is_set():
                self.dropped["shutdown"] += 1
                return
            self._spans.append(span)
            self._weights.append(octets)
            self._octets += octets
            while len(self._spans) > limits.size or self._octets > limits.octets:
                self._pop()
                self.dropped["queue_full"] += 1
            if len(self._spans) == limits.batch:
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
            self._stopping.set()
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
        limits = self._limits
        is_full = len(self._spans) >= limits.batch or self._octets >= limits.batch_octets
        return is_full or self._flushing or self._stopping.is_set()

    def _pop(self) -> ReadableSpan:
        self._octets -= self._weights.popleft()
        return self._spans.popleft()

    def _pop_batch(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        least = self._octets - self._limits.batch_octets
        while self._spans and len(batch) < self._limits.batch and (not batch or self._octets > least):
            batch.append(self._pop())
        return batch

    def _discard(self) -> None:
        self.dropped["shutdown"] += len(self._spans)
        self._spans.clear()
        self._weights.clear()
        self._octets = 0

    def _run(self) -> None:
        with suppress_instrumentation():  # an exporter's own HTTP requests are not to be traced
            while batch := self._next_batch():
                exported = False
                try:
                    exported = self._exporter.export(batch) is SpanExportResult.SUCCESS
                finally:
                    self._settle(len(batch), exported)

    def _next_batch(self) -> list[ReadableSpan]:
        """The next spans to export; empty when the end has come."""
        with self._changed:
            while True:
                self._changed.wait_for(self._is_due, self._limits.delay)
                batch = self._pop_batch()
                self._exporting = len(batch)
                if batch or self._stopping.is_set():
                    return batch
                self._settle_flush()

    def _settle(self, count: int, exported: bool) -> None:
        with self._changed:
            self._exporting = 0
            if not exported:
                self.dropped["export_failed"] += count
            if self._stopping.is_set() and not exported:
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


def _weigh(span: ReadableSpan) -> int:
    """The octets of a span's texts; those of statements are one string for all spans."""
    characters: int = getattr(span, "characters", UNKNOWN)
    if characters < LONG_TEXTS and not span._events:
        return characters
    attributes = (span._attributes or {}, *(event.attributes or {} for event in span._events))
    return sum(map(_weigh_texts, attributes))


def _weigh_texts(attributes: Mapping[str, object]) -> int:
    return sum(_weigh_text(value) for key, value in attributes.items() if key not in STATEMENTS)


def _weigh_text(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Sequence):
        return sum(map(_weigh_text, value))
    return 0


def _restart(reference: "weakref.WeakMethod[Callable[[], None]]") -> None:
    if start := reference():
        start()
