"""A bounded queue of ended spans, or of log lines, and the thread that exports them in batches.

It replaces the SDK's batch processors, which drop items without counting them and take 30 s to shut down when the
Collector is down. When the queue is full, by count or by octets, the oldest item is dropped: the present matters more.

What arrives is encoded in batches, by the thread that puts the last item or by that of the queue. Between two commands
the encoder's code and tables leave the caches of the CPU, so one span at a time costs several times as much.
"""

import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.environment_variables import (
    OTEL_BLRP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BLRP_MAX_QUEUE_SIZE,
    OTEL_BLRP_SCHEDULE_DELAY,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)

from relate_supervisor import Supervisor, TaskName
from relate_telemetry.environment import parse_count, parse_seconds

REASONS = ("queue_full", "export_failed", "rejected", "refused", "shutdown")
"""Why an item was not exported. `queue_full` and `shutdown` are the queue's own.

`export_failed`: the endpoint did not answer, or with an error; `rejected`: it answered that it does not accept these
items; `refused`: it does not accept this signal.
"""

ENCODING_BATCH_ITEMS = 64  # or an eighth of a batch: some 50 KB of spans, encoded in 0.1 ms

ItemT = TypeVar("ItemT")
_ItemT_contra = TypeVar("_ItemT_contra", contravariant=True)


class QueueLimits(NamedTuple):
    """Bounds of a queue and of one batch; by default those of spans. Octets are those that `count_octets` counts."""

    items: int = 65536  # half a minute, such as a restart of the Collector, at 2,000 spans/s
    batch_items: int = (
        2048  # a call of gRPC takes 0.6 ms of CPU: with the SDK's 512 more than all else that is exported
    )
    delay_seconds: float = 1.0  # until an incomplete batch is exported; the SDK's 5 s is long in front of a console
    octets: int = 32 * 2**20  # a command's span has some 300, that of a malicious request several thousand
    batch_octets: int = 2 * 2**20  # below gRPC's 4 MB with the texts of statements, which an SDK span does not count


LOG_LIMITS = QueueLimits(
    items=2048,  # the specification's default, as is the next one; a service writes some lines per hour
    batch_items=512,
    octets=4 * 2**20,  # a traceback has up to 8 KiB
    batch_octets=2**20,
)


def span_limits(environ: Mapping[str, str] = os.environ) -> QueueLimits:
    """The limits of spans, with the standard OTEL_BSP_* variables. Raises ValueError naming a malformed variable."""
    names = OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_SCHEDULE_DELAY
    return _read_limits(environ, names, QueueLimits())


def log_limits(environ: Mapping[str, str] = os.environ) -> QueueLimits:
    """The limits of log lines, with the standard OTEL_BLRP_* variables. Raises ValueError naming a malformed one."""
    names = OTEL_BLRP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE, OTEL_BLRP_SCHEDULE_DELAY
    return _read_limits(environ, names, LOG_LIMITS)


def _read_limits(environ: Mapping[str, str], names: tuple[str, str, str], default: QueueLimits) -> QueueLimits:
    size, batch_size, delay = names
    items = parse_count(environ, size, default.items)
    batch = parse_count(environ, batch_size, default.batch_items)
    delay_seconds = parse_seconds(environ, delay, default.delay_seconds)
    return default._replace(items=items, batch_items=min(batch, items), delay_seconds=delay_seconds)


class Exporter(Protocol[_ItemT_contra]):
    """Sends batches."""

    def send(self, batch: Sequence[_ItemT_contra], /) -> Mapping[str, int]:
        """Export a batch, and return how many of its items were lost, by reason; nothing if all were accepted."""

    def shutdown(self) -> None:
        """Abort a `send` that is running, and release resources."""


class ExportQueue(Generic[ItemT]):
    """Exports items in batches, and counts in `dropped` those that were not exported, by the REASONS.

    `count_octets` says how much memory an item takes; `task` is the name of the thread; `encode` makes an item of what
    arrives, or nothing.
    """

    def __init__(
        self,
        exporter: Exporter[ItemT],
        count_octets: Callable[[ItemT], int],
        limits: QueueLimits | None = None,
        supervisor: Supervisor | None = None,
        task: TaskName = "telemetry.spans",
        *,
        encode: Callable[[Any], ItemT | None] = lambda item: item,
    ) -> None:
        self.dropped: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._exporter = exporter
        self._encode = encode
        self._count_octets = count_octets
        # Attributes, because they are read faster than those of a tuple.
        limits = limits or QueueLimits()
        self._max_items, self._batch_items, self._delay_seconds, self._max_octets, self._batch_octets = limits
        self._encoded_together = max(1, min(ENCODING_BATCH_ITEMS, self._batch_items // 8))
        self._supervisor = supervisor or Supervisor()
        self._task = task
        self._stopping = threading.Event()
        self._joined = False
        self._start()
        reference = weakref.WeakMethod(self._start)
        os.register_at_fork(after_in_child=lambda: _restart(reference))

    def _start(self) -> None:
        self._arrived: deque[Any] = deque()  # not encoded yet
        self._is_waiting = True  # the thread, for a first item; since `stop` always
        self._items: deque[ItemT] = deque()
        self._octets = 0  # of them
        self._exporting = 0  # items in the batch that is being exported
        self._flushing = False
        # Reentrant, because a garbage collection inside the lock may finalize a generator that ends a span, or logs.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread = self._supervisor.keep_thread(self._task, self._run, self._stopping)

    def put(self, arrival: Any) -> None:
        """Enqueue an item. It does not wait for an export."""
        arrived = self._arrived
        arrived.append(arrival)
        if self._is_waiting or len(arrived) >= self._encoded_together:
            self.encode_arrived()

    def encode_arrived(self) -> None:
        """Encode what has arrived, now."""
        with self._lock:
            arrived, encode = self._arrived, self._encode
            items = []
            while arrived:  # only the holder of the lock takes from it
                item = encode(arrived.popleft())
                if item is not None:
                    items.append(item)
            if items:
                self._enqueue(items)

    def _enqueue(self, items: list[ItemT]) -> None:
        if self._stopping.is_set():
            self.dropped["shutdown"] += len(items)
            return
        sizes = list(map(self._count_octets, items))
        if max(sizes) > self._max_octets:  # it would push all others out
            fitting = [(item, size) for item, size in zip(items, sizes, strict=True) if size <= self._max_octets]
            self.dropped["queue_full"] += len(items) - len(fitting)
            items, sizes = [item for item, _ in fitting], [size for _, size in fitting]
        self._items.extend(items)
        self._octets += sum(sizes)
        self._drop_oldest()
        # The thread waits for the first item, then for a full batch. Nothing else needs to wake it.
        if self._items and (self._is_waiting or self._is_due()):
            self._is_waiting = False
            self._changed.notify_all()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export all enqueued items. Return whether that was done in time."""
        with self._changed:
            self.encode_arrived()
            self._flushing = not self._is_idle()
            self._changed.notify_all()
            return self._changed.wait_for(self._is_idle, timeout_millis / 1000)

    def stop(self) -> None:
        """Refuse further items, and export the enqueued ones without delay."""
        with self._changed:
            self.encode_arrived()
            self._stopping.set()
            self._is_waiting = True
            self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for the last export until `deadline` (of time.monotonic), then drop the rest. Idempotent."""
        if self._joined:
            return
        self._joined = True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self.dropped["shutdown"] += self._exporting  # whether they arrive will not be known
            self._exporting = 0
            self._discard()
        self._exporter.shutdown()

    def _drop_oldest(self) -> None:
        while len(self._items) > self._max_items or self._octets > self._max_octets:
            size = self._count_octets(self._items.popleft())
            self._octets -= size
            self.dropped["queue_full"] += 1

    def _is_idle(self) -> bool:
        return not self._items and not self._exporting

    def _is_due(self) -> bool:
        is_full = len(self._items) >= self._batch_items or self._octets >= self._batch_octets
        return is_full or self._flushing or self._stopping.is_set()

    def _pop_batch(self) -> list[ItemT]:
        """The oldest items that fit into a batch; one that does not fit into any is a batch of its own."""
        items, room = self._items, self._batch_octets
        if len(items) <= self._batch_items and self._octets <= room:
            batch = list(items)
            items.clear()
            self._octets = 0
            return batch
        batch = []
        while items and len(batch) < self._batch_items:
            size = self._count_octets(items[0])
            if batch and size > room:
                break
            room -= size
            self._octets -= size
            batch.append(items.popleft())
        return batch

    def _discard(self) -> None:
        self.dropped["shutdown"] += len(self._items)
        self._items.clear()
        self._octets = 0

    def _run(self) -> None:
        with suppress_instrumentation():  # so that the exporter's requests are not traced, nor its lines exported
            while batch := self._next_batch():
                lost: Mapping[str, int] = {"export_failed": len(batch)}
                try:
                    lost = self._exporter.send(batch)
                finally:
                    self._finish_batch(lost)

    def _next_batch(self) -> list[ItemT]:
        """Wait for the next items to export. An empty list ends the thread."""
        with self._changed:
            self._is_waiting = not self._items or self._stopping.is_set()
            self.encode_arrived()
            self._changed.wait_for(lambda: self._items or self._stopping.is_set())
            self._changed.wait_for(self._is_due, self._delay_seconds)
            self.encode_arrived()
            batch = self._pop_batch()
            self._exporting = len(batch)
            return batch

    def _finish_batch(self, lost: Mapping[str, int]) -> None:
        with self._changed:
            if self._exporting:  # else `join` gave up, and counted them
                self._exporting = 0
                self.dropped.update(lost)
            if self._stopping.is_set() and lost.keys() - {"rejected"}:
                self._discard()  # the next export would fail as slowly as this one
            if not self._items:
                self._flushing = False
                self._changed.notify_all()


def _restart(reference: "weakref.WeakMethod[Callable[[], None]]") -> None:
    if start := reference():
        start()
