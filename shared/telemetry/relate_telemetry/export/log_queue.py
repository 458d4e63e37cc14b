"""A bounded queue of log lines and the thread that exports them. A line is on standard error as well, so one that is
dropped here is not lost.

It replaces the SDK's BatchLogRecordProcessor, which counts neither drops nor failed exports, and takes 30 s to shut
down when the Collector is down. When the queue is full, the oldest line is dropped.
"""

import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.environment_variables import (
    OTEL_BLRP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BLRP_MAX_QUEUE_SIZE,
    OTEL_BLRP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.resources import Resource

from relate_supervisor import Supervisor
from relate_telemetry.environment import parse_count, parse_seconds
from relate_telemetry.export.log_records import LogBatch, LogLine, make_line

REASONS = ("queue_full", "export_failed", "rejected", "refused", "shutdown")


class LogLimits(NamedTuple):
    """Bounds of the queue and of one batch."""

    lines: int = 2048  # the specification's default; a service writes some lines per hour
    batch_lines: int = 512
    delay_seconds: float = 1.0  # until an incomplete batch is exported
    octets: int = 4 * 2**20  # of the records in the queue: a traceback has up to 8 KiB
    batch_octets: int = 2**20  # below gRPC's 4 MB, with one line that is larger


def log_limits_from_environment(environ: Mapping[str, str] = os.environ) -> LogLimits:
    """The limits, with the standard OTEL_BLRP_* variables where set. Raises ValueError naming a malformed variable."""
    default = LogLimits()
    lines = parse_count(environ, OTEL_BLRP_MAX_QUEUE_SIZE, default.lines)
    batch = parse_count(environ, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE, default.batch_lines)
    delay = parse_seconds(environ, OTEL_BLRP_SCHEDULE_DELAY, default.delay_seconds)
    return LogLimits(lines, min(batch, lines), delay)


class LogExporter(Protocol):
    """Sends batches of lines."""

    def send(self, batch: LogBatch) -> Mapping[str, int]:
        """Export lines, and return how many were lost, by reason; nothing if all were accepted."""

    def shutdown(self) -> None:
        """Abort an export that is running, and refuse further ones."""


class LogQueue:
    """Exports lines in batches, and counts in `dropped` those that were not exported, by the REASONS.

    `queue_full` and `shutdown` are this queue's own; `export_failed`: the endpoint does not answer; `refused`: it
    accepts no logs; `rejected`: it accepted a request without these lines.
    """

    def __init__(
        self,
        exporter: LogExporter,
        resource: Resource,
        limits: LogLimits | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._exporter = exporter
        self._resource = resource
        self._limits = limits or LogLimits()
        self._supervisor = supervisor or Supervisor()
        self._stopping = threading.Event()
        self._joined = False
        self._start()
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _restart(reference))

    def _start(self) -> None:
        self._lines: deque[LogLine] = deque()
        self._octets = 0  # of the lines in the queue
        self._changed = threading.Condition()  # reentrant, because a finalizer may log inside it
        self._thread = self._supervisor.keep_thread("telemetry.logs", self._run, self._stopping)

    def put(self, logger: str, event: Mapping[str, Any]) -> None:
        """Enqueue a line, the dictionary of its JSON. It does not wait for an export."""
        line = make_line(logger, event)
        with self._changed:
            if self._stopping.is_set():
                self.dropped["shutdown"] += 1
                return
            self._lines.append(line)
            self._octets += line.octets
            while len(self._lines) > self._limits.lines or self._octets > self._limits.octets:
                self._pop()
                self.dropped["queue_full"] += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Refuse further lines, and export the enqueued ones without delay."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the last export until `deadline` (of time.monotonic), then drop the rest. Idempotent."""
        if self._joined:
            return
        self._joined = True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._discard()
        self._exporter.shutdown()

    def _run(self) -> None:
        with suppress_instrumentation():  # so that the exporter's requests are not traced, nor its lines exported
            while lines := self._next_batch():
                lost: Mapping[str, int] = {"export_failed": len(lines)}
                try:
                    lost = self._exporter.send(LogBatch(self._resource, lines))
                finally:
                    self._finish_batch(lost)

    def _next_batch(self) -> list[LogLine]:
        """Wait for the next lines to export. An empty list ends the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._stopping.is_set())
            self._changed.wait_for(self._is_due, self._limits.delay_seconds)
            return self._pop_batch()

    def _is_due(self) -> bool:
        is_full = len(self._lines) >= self._limits.batch_lines or self._octets >= self._limits.batch_octets
        return is_full or self._stopping.is_set()

    def _pop_batch(self) -> list[LogLine]:
        batch: list[LogLine] = []
        octets = 0
        while self._lines and len(batch) < self._limits.batch_lines and octets < self._limits.batch_octets:
            batch.append(self._pop())
            octets += batch[-1].octets
        return batch

    def _pop(self) -> LogLine:
        line = self._lines.popleft()
        self._octets -= line.octets
        return line

    def _finish_batch(self, lost: Mapping[str, int]) -> None:
        with self._changed:
            self.dropped.update(lost)
            if self._stopping.is_set() and lost:
                self._discard()  # the next export would fail as slowly as this one

    def _discard(self) -> None:
        with self._changed:
            self.dropped["shutdown"] += len(self._lines)
            self._lines.clear()
            self._octets = 0


def _restart(reference: "weakref.ref[LogQueue]") -> None:
    if queue := reference():
        queue._start()
