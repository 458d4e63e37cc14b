"""The queue of spans and of log lines: `put` never waits for an export, memory is bounded, drops are counted."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanContext, TraceFlags
from structlog.testing import capture_logs

from relate_supervisor import Backoff, Supervisor
from relate_telemetry.export.queue import LOG_LIMITS, REASONS, ExportQueue, QueueLimits, log_limits, span_limits
from relate_telemetry.export.sdk_spans import QueueProcessor, SdkExporter, count_octets
from tests.support.telemetry.received import Received
from tests.support.telemetry.receiver import RecordingExporter

LONG_DELAY_SECONDS = 3600.0
TIMEOUT_SECONDS = 10.0
NO_LOSS: Mapping[str, int] = {}


class Gate:
    """An exporter whose exports block until `open` gives their results."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self._results: list[Mapping[str, int] | Exception] = []
        self._opened = threading.Semaphore(0)

    def open(self, *results: Mapping[str, int] | Exception) -> None:
        self._results += results
        self._opened.release(len(results))

    def send(self, batch: Sequence[str]) -> Mapping[str, int]:
        self.batches.append([*batch])
        self.entered.release()
        self._opened.acquire()
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def shutdown(self) -> None:
        self.open({"export_failed": 1})


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open(*[NO_LOSS] * 100)


def make_queue(gate: Gate, limits: QueueLimits, supervisor: Supervisor | None = None) -> ExportQueue[str]:
    return ExportQueue(gate, len, limits, supervisor)


def put(queue: ExportQueue[str], *items: str) -> None:
    for item in items:
        queue.put(item)


def shut_down(queue: ExportQueue[str] | ExportQueue[ReadableSpan]) -> None:
    queue.stop()
    queue.join(time.monotonic() + TIMEOUT_SECONDS)


def test_a_full_batch_is_exported(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["a", "b"]]


def test_a_batch_that_is_full_by_octets_is_exported(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 10, LONG_DELAY_SECONDS, batch_octets=100))
    put(queue, "x" * 60, "y" * 60)
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["x" * 60]]


@pytest.mark.parametrize("delay_seconds", [0.0, 0.001])
def test_an_incomplete_batch_is_exported_after_the_delay(gate: Gate, delay_seconds: float) -> None:
    queue = make_queue(gate, QueueLimits(10, 10, delay_seconds))
    put(queue, "a")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["a"]]


def test_an_empty_queue_waits_without_a_timeout(gate: Gate) -> None:
    queue, timeouts = make_queue(gate, QueueLimits(10, 1, 0.0)), []
    waiting = threading.Semaphore(0)
    wait = queue._changed.wait

    def watch(timeout: float | None = None) -> bool:
        timeouts.append(timeout)
        waiting.release()
        return wait(timeout)

    with queue._changed:
        queue._changed.wait = watch  # type: ignore[method-assign]
        put(queue, "a")
    gate.open(NO_LOSS)
    assert waiting.acquire(timeout=TIMEOUT_SECONDS)
    assert timeouts == [None]


def test_a_full_queue_drops_and_counts_the_oldest_items(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(3, 3, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    gate.entered.acquire()  # the export blocks
    put(queue, "d", "e", "f", "g", "h")
    assert +queue.dropped == {"queue_full": 2}
    gate.open(NO_LOSS, NO_LOSS)
    shut_down(queue)
    assert gate.batches == [["a", "b", "c"], ["f", "g", "h"]]
    assert +queue.dropped == {"queue_full": 2}


def test_the_octets_in_the_queue_are_bounded(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(1000, 15, LONG_DELAY_SECONDS, octets=300))
    put(queue, *["x" * 100] * 5)
    assert +queue.dropped == {"queue_full": 2}


def test_an_item_that_is_larger_than_the_queue_is_dropped_alone(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(1000, 15, LONG_DELAY_SECONDS, octets=300))
    put(queue, "a", "x" * 301, "b")
    assert +queue.dropped == {"queue_full": 1}
    gate.open(NO_LOSS)
    assert queue.force_flush(10_000)
    assert gate.batches == [["a", "b"]]


def test_the_octets_of_a_batch_are_bounded(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 10, LONG_DELAY_SECONDS, batch_octets=100))
    with queue._changed:
        put(queue, "x" * 60, "y" * 60, "z" * 40, "!" * 1000, "a")
    gate.open(*[NO_LOSS] * 4)
    shut_down(queue)
    assert [[text[0] for text in batch] for batch in gate.batches] == [["x"], ["y", "z"], ["!"], ["a"]]


@pytest.mark.parametrize("reason", ["export_failed", "refused", "rejected"])
def test_lost_items_are_counted_and_the_next_batch_is_exported(gate: Gate, reason: str) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c", "d")
    gate.open({reason: 2}, NO_LOSS)
    assert queue.force_flush(10_000)
    assert gate.batches == [["a", "b"], ["c", "d"]]
    assert +queue.dropped == {reason: 2}


def test_each_reason_is_counted_from_0(gate: Gate) -> None:
    assert make_queue(gate, QueueLimits()).dropped == dict.fromkeys(REASONS, 0)


def test_an_exception_of_the_exporter_is_reported_and_the_next_batch_exported(gate: Gate) -> None:
    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    with capture_logs() as logs:
        queue = ExportQueue(gate, len, QueueLimits(10, 1, LONG_DELAY_SECONDS), supervisor, "telemetry.logs")
        put(queue, "a", "b")
        gate.open(ValueError("a bug"), NO_LOSS)
        assert queue.force_flush(10_000)
        shut_down(queue)
    assert gate.batches == [["a"], ["b"]]
    assert +queue.dropped == {"export_failed": 1}
    assert supervisor.failures == {"telemetry.logs": 1}
    assert [entry["task"] for entry in logs] == ["telemetry.logs"]


def test_a_flush_waits_for_the_export_until_its_timeout(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 10, LONG_DELAY_SECONDS))
    put(queue, "a")
    assert not queue.force_flush(1)
    gate.open(NO_LOSS)
    assert queue.force_flush(10_000)
    assert gate.batches == [["a"]]


def test_a_flush_of_an_empty_queue_returns_at_once_and_forces_no_later_export(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    assert queue.force_flush(10_000)
    put(queue, "a", "b")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["a", "b"]]


def test_shutdown_exports_queued_items(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    gate.open(NO_LOSS, NO_LOSS)
    shut_down(queue)
    assert gate.batches == [["a", "b"], ["c"]]
    assert not queue.dropped.total()


def test_shutdown_drops_and_counts_all_items_after_its_deadline_once(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    queue.stop()
    queue.join(time.monotonic())
    queue.join(time.monotonic() + LONG_DELAY_SECONDS)
    queue._thread.join(TIMEOUT_SECONDS)
    assert +queue.dropped == {"shutdown": 3}


@pytest.mark.parametrize("reason", ["export_failed", "refused"])
def test_shutdown_ends_after_a_failed_export(gate: Gate, reason: str) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, *"abcdefg")
    queue.stop()
    gate.open({reason: 2})
    shut_down(queue)
    assert gate.batches == [["a", "b"]]
    assert +queue.dropped == {reason: 2, "shutdown": 5}


def test_shutdown_continues_after_rejected_items(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, *"abcd")
    queue.stop()
    gate.open({"rejected": 1}, NO_LOSS)
    shut_down(queue)
    assert gate.batches == [["a", "b"], ["c", "d"]]
    assert +queue.dropped == {"rejected": 1}


def test_items_after_the_shutdown_are_counted_as_dropped(gate: Gate) -> None:
    queue = make_queue(gate, QueueLimits(10, 2, LONG_DELAY_SECONDS))
    shut_down(queue)
    put(queue, "late")
    assert +queue.dropped == {"shutdown": 1}


def test_an_item_may_be_put_while_another_one_is_enqueued(gate: Gate) -> None:
    """A garbage collection may finalize a generator that ends a span, or logs."""
    queue = make_queue(gate, QueueLimits(10, 10, LONG_DELAY_SECONDS))
    with queue._changed:
        put(queue, "a")
    gate.open(NO_LOSS)
    shut_down(queue)
    assert gate.batches == [["a"]]


# Limits


def test_standard_variables_set_the_limits_of_spans() -> None:
    assert span_limits({}) == QueueLimits(65536, 2048, 1.0)
    chosen = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "200",
        "OTEL_BSP_SCHEDULE_DELAY": "250",
    }
    assert span_limits(chosen) == QueueLimits(100, 100, 0.25)


def test_standard_variables_set_the_limits_of_log_lines() -> None:
    assert log_limits({}) == LOG_LIMITS == QueueLimits(2048, 512, 1.0, 4 * 2**20, 2**20)
    chosen = {
        "OTEL_BLRP_MAX_QUEUE_SIZE": "100",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "0",
    }
    assert log_limits(chosen) == LOG_LIMITS._replace(items=100, batch_items=100, delay_seconds=0.0)


@pytest.mark.parametrize(("limits", "prefix"), [(span_limits, "OTEL_BSP"), (log_limits, "OTEL_BLRP")])
@pytest.mark.parametrize("variable", ["MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY"])
@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_a_malformed_limit_names_its_variable(
    limits: Callable[[Mapping[str, str]], QueueLimits], prefix: str, variable: str, value: str
) -> None:
    with pytest.raises(ValueError, match=f"{prefix}_{variable}"):
        limits({f"{prefix}_{variable}": value})


# Spans of the SDK


def sdk_queue(exporter: SpanExporter, sampler: object = None) -> tuple[ExportQueue[ReadableSpan], TracerProvider]:
    queue = ExportQueue(SdkExporter(exporter), count_octets)
    provider = TracerProvider(sampler, shutdown_on_exit=False)  # type: ignore[arg-type]
    provider.add_span_processor(QueueProcessor(queue))
    return queue, provider


def test_unsampled_spans_are_not_exported() -> None:
    memory = InMemorySpanExporter()
    queue, provider = sdk_queue(memory, ALWAYS_OFF)
    provider.get_tracer("test").start_span("a").end()
    shut_down(queue)
    assert memory.get_finished_spans() == ()


def test_a_failed_export_of_the_sdks_spans_is_counted() -> None:
    class Failing(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.FAILURE

    queue, provider = sdk_queue(Failing())
    provider.get_tracer("test").start_span("a").end()
    shut_down(queue)
    assert +queue.dropped == {"export_failed": 1}


def test_a_compacted_span_is_exported_completely() -> None:
    received = Received()
    queue, provider = sdk_queue(RecordingExporter(received))
    link = Link(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
    tracer = provider.get_tracer("test")
    rich = tracer.start_span("rich", attributes={"n": 1, "list": [1, 2]}, links=[link])
    rich.add_event("noted", {"x": "y"})
    rich.end()
    tracer.start_span("bare").end()
    shut_down(queue)
    span = received.span("rich")
    assert span.attributes == {"n": 1, "list": (1, 2)}
    assert [event.attributes for event in span.events] == [{"x": "y"}]
    assert [each.span_id for each in span.links] == [f"{2:016x}"]
    assert (received.span("bare").links, received.span("bare").events) == ((), ())
