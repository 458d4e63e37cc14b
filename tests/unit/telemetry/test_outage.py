"""A process whose Collector is down or silent: memory is bounded, lost spans are counted, the shutdown is in time."""

import json
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from relate_telemetry.export.queue import REASONS, QueueLimits
from tests.support.telemetry.receiver import OtlpReceiver
from tests.unit.telemetry.lying_collector import silent_collector, stopped_collector
from tests.unit.telemetry.processes import run_python

QUEUE_SPANS = 1000
BATCH_SPANS = QueueLimits().batch_items
SPANS = 4002  # 4,000 commands, the start of their connection, and their session
LOG_LINES = 4  # an error of each exporter, throttled to one per minute

# `waiting` and `octets` are those in the queue, the batch that is being exported not among them.
CODE = """
import time
telemetry = start()
make_spans(telemetry)
queue = telemetry.tracer_provider.sink
queue.encode_arrived()
waiting = [*queue._items]
dropped = queue.dropped.total()
began = time.monotonic()
telemetry.shutdown()
print(json.dumps({
    "waiting": len(waiting),
    "octets": sum(map(len, waiting)),
    "dropped": dropped,
    "dropped at last": queue.dropped.total(),
    "shutdown": time.monotonic() - began,
}))
"""
COMMANDS = "def make_spans(telemetry): converse(telemetry, 4000)"
# Twice the octets that a queue may have, but not the spans.
LONG_SPANS = """
def make_spans(telemetry):
    tracer = telemetry.tracer_provider.get_tracer("test")
    for number in range(2 * 2**25 // 8192):
        tracer.start_span("long", attributes={str(key): f"{number} {key} " + "x" * 1010 for key in range(8)}).end()
"""

COLLECTORS = pytest.mark.parametrize("collector", [silent_collector, stopped_collector])
PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])


@COLLECTORS
@PROTOCOLS
def test_an_unreachable_collector_bounds_memory_and_shutdown(
    collector: Callable[[], socket.socket], protocol: str
) -> None:
    with closing(collector()) as listener:
        environ = {
            "Otel__Endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE_SPANS),
        }
        out, errors = run_python(COMMANDS + CODE, environ)
    seen = json.loads(out)
    assert seen["waiting"] <= QUEUE_SPANS
    assert seen["dropped"] >= SPANS - QUEUE_SPANS - BATCH_SPANS
    assert seen["dropped at last"] == SPANS
    assert seen["shutdown"] <= 5
    assert len(errors.splitlines()) <= LOG_LINES


def test_a_silent_collector_bounds_the_octets_of_long_spans() -> None:
    with closing(silent_collector()) as listener:
        environ = {"Otel__Endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        out, _ = run_python(LONG_SPANS + CODE, environ)
    seen, limits = json.loads(out), QueueLimits()
    assert seen["octets"] <= limits.octets
    assert seen["waiting"] < limits.items
    assert seen["dropped"] > 0
    assert seen["dropped at last"] == 2 * 2**25 // 8192
    assert seen["shutdown"] <= 5


@COLLECTORS
@PROTOCOLS
def test_the_last_metrics_tell_what_was_lost(collector: Callable[[], socket.socket], protocol: str) -> None:
    with closing(collector()) as listener, OtlpReceiver() as receiver:
        traces = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": traces,
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint,
        }
        run_python("telemetry = start(); converse(telemetry, 4000); telemetry.shutdown()", environ)
        points = receiver.metric("relate.telemetry.spans.dropped")
    assert {point.attributes["reason"] for point in points} == set(REASONS)
    assert sum(point.value for point in points) == SPANS
