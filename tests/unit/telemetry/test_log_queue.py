"""The queue of log lines: it never waits for an export, is bounded, counts drops, and shuts down in time."""

import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry.sdk.resources import Resource
from structlog.testing import capture_logs

from relate_supervisor import Backoff, Supervisor
from relate_telemetry.export.log_queue import LogLimits, LogQueue, log_limits_from_environment
from relate_telemetry.export.log_records import LogBatch
from relate_telemetry.redaction import MAX_TRACEBACK_CHARACTERS

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

    def send(self, batch: LogBatch) -> Mapping[str, int]:
        self.batches.append([line.record.body.string_value for line in batch.lines])
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


def make_queue(gate: Gate, limits: LogLimits, supervisor: Supervisor | None = None) -> LogQueue:
    return LogQueue(gate, Resource({}), limits, supervisor)


def put(queue: LogQueue, *texts: str) -> None:
    for text in texts:
        queue.put("test", {"event": text, "level": "info"})


def join(queue: LogQueue) -> None:
    queue.stop()
    queue.join(time.monotonic() + TIMEOUT_SECONDS)


def losses(queue: LogQueue) -> dict[str, int]:
    return {reason: count for reason, count in queue.dropped.items() if count}


def test_a_full_batch_is_exported(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["a", "b"]]


@pytest.mark.parametrize("delay_seconds", [0.0, 0.001])
def test_an_incomplete_batch_is_exported_after_the_delay(gate: Gate, delay_seconds: float) -> None:
    queue = make_queue(gate, LogLimits(10, 10, delay_seconds))
    put(queue, "a")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    assert gate.batches == [["a"]]


def test_a_full_queue_drops_and_counts_the_oldest_lines(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(3, 3, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    gate.entered.acquire()  # the export blocks
    put(queue, "d", "e", "f", "g", "h")
    gate.open(NO_LOSS, NO_LOSS)
    join(queue)
    assert gate.batches == [["a", "b", "c"], ["f", "g", "h"]]
    assert losses(queue) == {"queue_full": 2}


def test_the_octets_in_the_queue_are_bounded(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(1000, 1000, LONG_DELAY_SECONDS, octets=3 * MAX_TRACEBACK_CHARACTERS))
    put(queue, *["x" * 10 * MAX_TRACEBACK_CHARACTERS] * 5)
    assert losses(queue) == {"queue_full": 3}


def test_the_octets_of_a_batch_are_bounded(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 10, LONG_DELAY_SECONDS, batch_octets=100))
    put(queue, "x" * 60, "y" * 60, "z")
    gate.open(NO_LOSS, NO_LOSS)
    join(queue)
    assert [[text[0] for text in batch] for batch in gate.batches] == [["x", "y"], ["z"]]


@pytest.mark.parametrize("reason", ["export_failed", "refused", "rejected"])
def test_lost_lines_are_counted_and_the_next_batch_is_exported(gate: Gate, reason: str) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c", "d")
    gate.open({reason: 2}, NO_LOSS)
    for _ in range(2):
        assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    join(queue)
    assert gate.batches == [["a", "b"], ["c", "d"]]
    assert losses(queue) == {reason: 2}


def test_an_exception_of_the_exporter_is_reported_and_the_next_batch_exported(gate: Gate) -> None:
    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    with capture_logs() as logs:
        queue = make_queue(gate, LogLimits(10, 1, LONG_DELAY_SECONDS), supervisor)
        put(queue, "a", "b")
        gate.open(ValueError("a bug"), NO_LOSS)
        for _ in range(2):
            assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
        join(queue)
    assert losses(queue) == {"export_failed": 1}
    assert supervisor.failures == {"telemetry.logs": 1}
    assert [entry["task"] for entry in logs] == ["telemetry.logs"]


def test_shutdown_exports_queued_lines(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    gate.open(NO_LOSS, NO_LOSS)
    join(queue)
    assert gate.batches == [["a", "b"], ["c"]]
    assert losses(queue) == {}


def test_shutdown_drops_lines_after_its_deadline(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, "a", "b", "c")
    assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
    queue.stop()
    queue.join(time.monotonic())
    queue.join(time.monotonic() + LONG_DELAY_SECONDS)
    assert queue.dropped["shutdown"] == 1


def test_shutdown_ends_after_a_failed_export(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    put(queue, *"abcdefg")
    queue.stop()
    gate.open({"export_failed": 2})
    queue.join(time.monotonic() + TIMEOUT_SECONDS)
    assert gate.batches == [["a", "b"]]
    assert losses(queue) == {"export_failed": 2, "shutdown": 5}


def test_lines_after_the_shutdown_are_counted_as_dropped(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 2, LONG_DELAY_SECONDS))
    join(queue)
    put(queue, "late")
    assert losses(queue) == {"shutdown": 1}


def test_a_finalizer_may_log_while_a_line_is_enqueued(gate: Gate) -> None:
    queue = make_queue(gate, LogLimits(10, 10, LONG_DELAY_SECONDS))
    with queue._changed:
        put(queue, "a")
    gate.open(NO_LOSS)
    join(queue)
    assert gate.batches == [["a"]]


def test_standard_variables_set_the_limits() -> None:
    assert log_limits_from_environment({}) == LogLimits(2048, 512, 1.0)
    chosen = {
        "OTEL_BLRP_MAX_QUEUE_SIZE": "100",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "0",
    }
    assert log_limits_from_environment(chosen) == LogLimits(100, 100, 0.0)


@pytest.mark.parametrize("variable", ["OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_SCHEDULE_DELAY"])
@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_a_malformed_limit_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        log_limits_from_environment({variable: value})
