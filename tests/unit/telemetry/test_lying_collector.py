"""A Collector that is down, busy, or answers nonsense: only what must be lost is lost, and all of that is counted.

How a process behaves then, and how long its shutdown takes, is tested in test_outage.py.
"""

import itertools
import time
from contextlib import closing
from http import HTTPStatus
from typing import NamedTuple

import grpc  # type: ignore[import-untyped] # grpcio has no annotations
import pytest
from opentelemetry.sdk.resources import Resource

from relate_telemetry.export.choice import encoded_span_exporter, log_exporter
from relate_telemetry.export.log_records import encode_line
from relate_telemetry.export.queue import LOG_LIMITS, ExportQueue, QueueLimits
from relate_telemetry.fast.encoder import encode_span
from tests.unit.telemetry.lying_collector import (
    MALFORMED,
    MAX_REQUEST_OCTETS,
    UNSUPPORTED,
    Answer,
    LyingCollector,
    babbling_collector,
    busy,
    first_report,
    partial_success,
    silent_collector,
    stopped_collector,
)
from tests.unit.telemetry.test_encoder import some_span

FLUSH_MILLISECONDS = 30_000
NEVER_SECONDS = 3600
PART_OCTETS = 400_000  # ten of them are about the limit of a request


class Signal(NamedTuple):
    """One signal over one transport."""

    name: str
    protocol: str

    def queue(self, port: int, timeout_milliseconds: int = 10_000, batch_items: int = 512) -> ExportQueue[bytes]:
        """A queue in front of 127.0.0.1, whose batches are complete before a flush, or when they are full."""
        endpoint, milliseconds = f"http://127.0.0.1:{port}", str(timeout_milliseconds)
        environ = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_BSP_EXPORT_TIMEOUT": milliseconds,
            "OTEL_BLRP_EXPORT_TIMEOUT": milliseconds,
        }
        if self.name == "traces":
            exporter = encoded_span_exporter(endpoint, environ)
        else:
            exporter = log_exporter(endpoint, Resource({}), environ)
        assert exporter is not None
        limits = QueueLimits() if self.name == "traces" else LOG_LIMITS._replace(octets=QueueLimits().octets)
        return ExportQueue(exporter, len, limits._replace(batch_items=batch_items, delay_seconds=NEVER_SECONDS))

    def item(self, name: str, parts: int = 0) -> bytes:
        """A span or a line of about that many parts of PART_OCTETS."""
        if self.name == "traces":
            return encode_span(some_span(name, {"text": "x" * PART_OCTETS * parts}))
        return encode_line("test", {"event": name, "list": [["x" * (PART_OCTETS // 50)] * 50] * parts})

    def received(self, collector: LyingCollector) -> str:
        """The names of what the Collector accepted."""
        if self.name == "traces":
            return "".join(span.name for span in collector.received.spans())
        return "".join(str(log.body) for log in collector.received.logs())


@pytest.fixture(params=itertools.starmap(Signal, itertools.product(["traces", "logs"], ["grpc", "http/protobuf"])))
def signal(request: pytest.FixtureRequest) -> Signal:
    chosen: Signal = request.param
    return chosen


def losses(signal: Signal, collector: LyingCollector, names: str = "ab", batch_items: int = 512) -> dict[str, int]:
    """Export items of these names, and return how many were lost, by reason."""
    queue = signal.queue(collector.ports[signal.protocol], batch_items=batch_items)
    for name in names:
        queue.put(signal.item(name))
    assert queue.force_flush(FLUSH_MILLISECONDS)
    close(queue)
    return +queue.dropped


def close(queue: ExportQueue[bytes]) -> None:
    queue.stop()
    queue.join(time.monotonic())


def test_all_items_arrive_in_one_request(signal: Signal) -> None:
    with LyingCollector() as collector:
        assert losses(signal, collector, "abc") == {}
        assert (signal.received(collector), len(collector.sizes)) == ("abc", 1)


# Down


def test_a_stopped_collector_is_a_failed_export(signal: Signal) -> None:
    with closing(stopped_collector()) as reserved:
        queue = signal.queue(reserved.getsockname()[1], timeout_milliseconds=100)
        queue.put(signal.item("a"))
        assert queue.force_flush(FLUSH_MILLISECONDS)
        close(queue)
    assert +queue.dropped == {"export_failed": 1}


def test_what_waits_during_an_outage_arrives_after_it(signal: Signal) -> None:
    with closing(stopped_collector()) as reserved:
        port = reserved.getsockname()[1]
        queue = signal.queue(port, batch_items=1)  # which imports the exporter, and with it its logger
        with first_report() as reported:
            for name in "abc":
                queue.put(signal.item(name))
            assert reported.wait(FLUSH_MILLISECONDS / 1000)
        restarted = LyingCollector(grpc_port=port) if signal.protocol == "grpc" else LyingCollector(http_port=port)
        with restarted as collector:
            assert queue.force_flush(FLUSH_MILLISECONDS)
            close(queue)
    assert signal.received(collector) == "abc"
    assert +queue.dropped == {}


def test_what_a_silent_collector_was_sent_is_counted_at_the_shutdown(signal: Signal) -> None:
    with closing(silent_collector()) as listener:
        queue = signal.queue(listener.getsockname()[1], batch_items=1)
        for name in "abc":
            queue.put(signal.item(name))
        connection, _ = listener.accept()
        close(queue)  # while the first request waits for its response
    connection.close()
    queue._thread.join(FLUSH_MILLISECONDS / 1000)
    assert +queue.dropped == {"shutdown": 3}


# Busy


def test_a_busy_collector_is_asked_again_when_it_wants(signal: Signal) -> None:
    with LyingCollector(busy(0), busy(0)) as collector:
        assert losses(signal, collector) == {}
        assert (signal.received(collector), len(collector.sizes)) == ("ab", 3)


def test_a_batch_is_lost_if_the_collector_is_busy_for_longer_than_the_timeout(signal: Signal) -> None:
    with LyingCollector(busy(NEVER_SECONDS)) as collector:
        assert losses(signal, collector, "abcd", batch_items=2) == {"export_failed": 2}
        assert (signal.received(collector), len(collector.sizes)) == ("cd", 2)


def test_an_exhausted_collector_that_wants_another_attempt_gets_it() -> None:
    answer = busy(0)._replace(code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    with LyingCollector(answer) as collector:
        assert losses(Signal("traces", "grpc"), collector) == {}
        assert len(collector.sizes) == 2


# Rejections


@pytest.mark.parametrize(("told", "counted"), [(1, 1), (0, 0), (10**15, 2), (-1, 0)])
def test_a_partial_success_is_counted(signal: Signal, told: int, counted: int) -> None:
    with LyingCollector(partial_success(told)) as collector:
        assert losses(signal, collector, "abcd", batch_items=2) == ({"rejected": counted} if counted else {})
        assert len(collector.sizes) == 2


def test_a_rejected_batch_is_counted_and_not_sent_again(signal: Signal) -> None:
    with LyingCollector(MALFORMED) as collector:
        assert losses(signal, collector, "abcd", batch_items=2) == {"rejected": 2}
        assert (signal.received(collector), len(collector.sizes)) == ("cd", 2)


def test_requests_stay_below_the_limit_and_only_an_item_beyond_it_is_lost(signal: Signal) -> None:
    with LyingCollector() as collector:
        queue = signal.queue(collector.ports[signal.protocol])
        sizes = [0, 1] * 10 + [12] + [1, 0] * 10
        for number, parts in enumerate(sizes):
            queue.put(signal.item(chr(ord("A") + number), parts))
        assert queue.force_flush(FLUSH_MILLISECONDS)
        close(queue)
        names = [chr(ord("A") + number) for number, parts in enumerate(sizes) if parts < 12]
        assert signal.received(collector) == "".join(names)
        assert sum(collector.sizes) > MAX_REQUEST_OCTETS
    assert +queue.dropped == {"rejected": 1}


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED])
def test_a_collector_without_the_signal_refuses_it(signal: Signal, status: HTTPStatus) -> None:
    with LyingCollector(finally_=UNSUPPORTED._replace(status=status)) as collector:
        assert losses(signal, collector, "abc", batch_items=1) == {"refused": 3}
        assert len(collector.sizes) == 3


# Nonsense


def test_a_response_that_cannot_be_decoded_is_a_success(signal: Signal) -> None:
    with LyingCollector(Answer(body=b"<html>it works</html>")) as collector:
        assert losses(signal, collector) == {}
        assert signal.received(collector) == "ab"


def test_a_delay_that_cannot_be_decoded_loses_one_batch_at_most(signal: Signal) -> None:
    answer = busy(0)._replace(retry_info=b"\xff\xff", retry_after="soon")
    with LyingCollector(answer) as collector:
        lost = losses(signal, collector, "abcd", batch_items=2)
        # Over HTTP the stock exporter waits as without the field; over gRPC it gives up.
        assert (lost, signal.received(collector)) in [({}, "abcd"), ({"export_failed": 2}, "cd")]


@pytest.mark.parametrize(
    "octets",
    [b"", b"\x00" * 1000, b"220 mail.example.org ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"],
)
def test_what_is_no_collector_is_a_failed_export(signal: Signal, octets: bytes) -> None:
    with babbling_collector(octets) as port:
        queue = signal.queue(port, timeout_milliseconds=100)
        queue.put(signal.item("a"))
        assert queue.force_flush(FLUSH_MILLISECONDS)
        close(queue)
    assert +queue.dropped == {"export_failed": 1}


@pytest.mark.parametrize("name", ["traces", "logs"])
def test_a_redirect_is_no_success(name: str) -> None:
    with LyingCollector(Answer(status=HTTPStatus.FOUND)) as collector:
        assert losses(Signal(name, "http/protobuf"), collector) == {"export_failed": 2}


# Shutdown


@pytest.mark.parametrize(
    ("answer", "lost"),
    [(partial_success(1), {"rejected": 1}), (MALFORMED, {"rejected": 1}), (UNSUPPORTED, {"refused": 1, "shutdown": 2})],
)
def test_a_shutdown_exports_what_can_be_exported(signal: Signal, answer: Answer, lost: dict[str, int]) -> None:
    with LyingCollector(answer) as collector:
        queue = signal.queue(collector.ports[signal.protocol], batch_items=1)
        with queue._changed:
            for name in "abc":
                queue.put(signal.item(name))
            queue.stop()
        queue.join(time.monotonic() + FLUSH_MILLISECONDS / 1000)
        assert +queue.dropped == lost
