"""A collector that is down or silent: memory is bounded, and the shutdown is in time."""

import json
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.unit.telemetry.processes import run_python

QUEUE_SPANS = 1000
BATCH_SPANS = 512
LOG_LINES = 4  # an error of each exporter, throttled to one per minute

# `alive` is the number of spans in memory: in the queue, and in the batch that is being exported.
CODE = """
import gc, time
from opentelemetry.sdk.trace import ReadableSpan
telemetry = start()
converse(telemetry, 4000)
alive = sum(isinstance(each, ReadableSpan) for each in gc.get_objects())
began = time.monotonic()
telemetry.shutdown()
print(json.dumps({"alive": alive, "shutdown": time.monotonic() - began}))
"""


def silent_collector() -> socket.socket:
    """Accepts connections, and never answers."""
    return socket.create_server(("127.0.0.1", 0))


def stopped_collector() -> socket.socket:
    """Reserves a port that refuses connections."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    return reserved


@pytest.mark.parametrize("collector", [silent_collector, stopped_collector])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_unreachable_collector_bounds_memory_and_shutdown(
    collector: Callable[[], socket.socket], protocol: str
) -> None:
    with closing(collector()) as listener:
        environ = {
            "Otel__Endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE_SPANS),
        }
        out, errors = run_python(CODE, environ)
    seen = json.loads(out)
    assert seen["alive"] <= QUEUE_SPANS + BATCH_SPANS
    assert seen["shutdown"] <= 5
    assert len(errors.splitlines()) <= LOG_LINES
