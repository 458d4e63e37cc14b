"""The queue of spans: it never blocks the thread that ends a span, is bounded, counts drops, and shuts down in time."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanContext, TraceFlags

from relate_telemetry.export import queue as span_queue
from relate_telemetry.export.queue import QueueLimits, QueueProcessor, SpanQueue, count_octets, limits_from_environment
from tests.support.telemetry.received import Received
from tests.support.telemetry.receiver import RecordingExporter

LONG_DELAY_SECONDS = 3600.0


class Gate(SpanExporter):
    """An exporter whose exports block until `open` gives their results."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.results: list[SpanExportResult | Exception] = []
        self._opened = threading.Semaphore(0)

    def open(self, *results: SpanExportResult | Exception) -> None:
        self.results += results
        self._opened.release(len(results))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append([span.name for span in spans])
        self.entered.release()
        self._opened.acquire()
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def shutdown(self) -> None:
        self.open(SpanExportResult.FAILURE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open(*[SpanExportResult.SUCCESS] * 100)


def end_spans(queue: SpanQueue[ReadableSpan], *names: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(QueueProcessor(queue))
    for name in names:
        provider.get_tracer("test").start_span(name).end()


def test_a_full_batch_is_exported(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    end_spans(queue, "a", "b", "c")
    assert gate.entered.acquire(timeout=10)
    assert gate.batches == [["a", "b"]]


def test_an_incomplete_batch_is_exported_after_the_delay(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 10, 0.001))
    end_spans(queue, "a")
    assert gate.entered.acquire(timeout=10)
    assert gate.batches == [["a"]]


def test_a_full_queue_drops_and_counts_the_oldest_spans(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(3, 3, LONG_DELAY_SECONDS))
    end_spans(queue, "a", "b", "c")
    gate.entered.acquire()  # the export blocks
    end_spans(queue, "d", "e", "f", "g", "h")
    assert queue.dropped == {"queue_full": 2}
    gate.open(SpanExportResult.SUCCESS, SpanExportResult.SUCCESS)
    queue.shutdown()
    assert gate.batches == [["a", "b", "c"], ["f", "g", "h"]]
    assert queue.dropped["shutdown"] == 0


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, OSError("broken pipe")])
def test_a_failed_export_is_counted_and_the_next_batch_is_exported(
    gate: Gate, result: SpanExportResult | Exception
) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    end_spans(queue, "a", "b", "c", "d")
    gate.open(result, SpanExportResult.SUCCESS)
    assert queue.force_flush(10_000)
    assert gate.batches == [["a", "b"], ["c", "d"]]
    assert queue.dropped == {"export_failed": 2}


def test_a_flush_waits_for_the_export_until_its_timeout(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 10, LONG_DELAY_SECONDS))
    end_spans(queue, "a")
    assert not queue.force_flush(1)
    gate.open(SpanExportResult.SUCCESS)
    assert queue.force_flush(10_000)
    assert gate.batches == [["a"]]


def test_a_flush_of_an_empty_queue_returns_at_once(gate: Gate) -> None:
    assert SpanQueue(gate, count_octets, QueueLimits(10, 10, LONG_DELAY_SECONDS)).force_flush(10_000)


def test_shutdown_exports_queued_spans(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    end_spans(queue, "a", "b", "c")
    gate.open(*[SpanExportResult.SUCCESS] * 2)
    queue.shutdown()
    assert gate.batches == [["a", "b"], ["c"]]
    assert not queue.dropped.total()


def test_shutdown_drops_spans_after_its_timeout(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_queue, "SHUTDOWN_SECONDS", 0.05)
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    end_spans(queue, "a", "b", "c")
    start = time.monotonic()
    queue.shutdown()
    queue.shutdown()
    assert time.monotonic() - start < 5
    assert queue.dropped["shutdown"] == 1


def test_shutdown_ends_after_a_failed_export(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    end_spans(queue, *"abcdefg")
    gate.open(SpanExportResult.FAILURE)
    queue.shutdown()
    assert gate.batches == [["a", "b"]]
    assert queue.dropped == {"export_failed": 2, "shutdown": 5}


def test_spans_that_end_after_shutdown_are_counted_as_dropped(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    queue.shutdown()
    end_spans(queue, "late")
    assert queue.dropped == {"shutdown": 1}


def test_a_span_may_end_while_another_one_is_enqueued(gate: Gate) -> None:
    """A garbage collection may finalize a generator that ends a span."""
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 10, LONG_DELAY_SECONDS))
    with queue._lock:
        end_spans(queue, "a")
    gate.open(SpanExportResult.SUCCESS)
    queue.shutdown()
    assert gate.batches == [["a"]]


def test_unsampled_spans_are_not_exported(gate: Gate) -> None:
    queue = SpanQueue(gate, count_octets, QueueLimits(10, 1, LONG_DELAY_SECONDS))
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(QueueProcessor(queue))
    provider.get_tracer("test").start_span("a").end()
    queue.shutdown()
    assert gate.batches == []


def test_a_compacted_span_is_exported_completely() -> None:
    received = Received()
    queue = SpanQueue(RecordingExporter(received), count_octets)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(QueueProcessor(queue))
    link = Link(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
    tracer = provider.get_tracer("test")
    rich = tracer.start_span("rich", attributes={"n": 1, "list": [1, 2]}, links=[link])
    rich.add_event("noted", {"x": "y"})
    rich.end()
    tracer.start_span("bare").end()
    queue.shutdown()
    span = received.span("rich")
    assert span.attributes == {"n": 1, "list": (1, 2)}
    assert [event.attributes for event in span.events] == [{"x": "y"}]
    assert [each.span_id for each in span.links] == [f"{2:016x}"]
    assert (received.span("bare").links, received.span("bare").events) == ((), ())


def test_standard_variables_set_the_limits() -> None:
    assert limits_from_environment({}) == QueueLimits(65536, 512, 1.0)
    chosen = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
    }
    assert limits_from_environment(chosen) == QueueLimits(100, 100, 0.25)


def test_a_delay_of_0_exports_without_a_busy_loop() -> None:
    assert limits_from_environment({"OTEL_BSP_SCHEDULE_DELAY": "0"}).delay_seconds == span_queue.MIN_DELAY_SECONDS


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5"])
def test_a_malformed_limit_names_its_variable(value: str) -> None:
    with pytest.raises(ValueError, match="OTEL_BSP_MAX_QUEUE_SIZE"):
        limits_from_environment({"OTEL_BSP_MAX_QUEUE_SIZE": value})
