"""A collector that is dead or mute: the service does not wait for it, memory is bounded, and the end comes in time."""

import json
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.unit.telemetry.processes import run_python

QUEUE = 1000
BATCH = 512
LINES = 4  # of log: a complaint of each exporter, and no more of them within a minute

# `alive` are the spans in memory: those that the queue holds, and the batch that is on its way.
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


def mute() -> socket.socket:
    """Takes connections, and never answers."""
    return socket.create_server(("127.0.0.1", 0))


def refusing() -> socket.socket:
    """Holds a port on which nobody listens."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


@pytest.mark.parametrize("collector", [mute, refusing])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_without_a_collector_a_service_runs_and_ends_as_with_one(
    collector: Callable[[], socket.socket], protocol: str
) -> None:
    with closing(collector()) as held:
        environ = {
            "Otel__Endpoint": f"http://127.0.0.1:{held.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
        }
        out, errors = run_python(CODE, environ)
    seen = json.loads(out)
    assert seen["alive"] <= QUEUE + BATCH
    assert seen["shutdown"] <= 5
    assert len(errors.splitlines()) <= LINES
