"""What telemetry costs a process: CPU per command, memory per span that waits, and the collection of metrics."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.bench import servers
from tests.bench.alternating import alone, in_turn
from tests.bench.processes import pss_kib, thread_seconds
from tests.bench.results import OFF, ON, Costs
from tests.support.telemetry.receiver import CountingSink, OtlpServer

CONNECTIONS = 10
NOOPS_PER_CONNECTION = 100  # the server counts further ones without a message or login as refused commands
ROUNDS = 40
SPANS_PER_ROUND = CONNECTIONS * (NOOPS_PER_CONNECTION + 1)  # with that of the session
WARM_UP_ROUNDS = 3  # until the first batch is being exported, and all memory of the process but the spans' is allocated


def measure(directory: Path) -> Costs:
    """Measure on SQLite, in one process per service."""
    off_us, on_us = _noops(directory)
    collection = _collection()
    return Costs(off_us, on_us, _waiting_span_octets(directory), collection["collection_ms"], collection["loop_ms"])


def rows(costs: Costs) -> dict[str, str]:
    """The measured values by name, for a table."""
    return {
        "SMTP NOOP, telemetry off, µs of CPU": f"{costs.noop_off_us:.1f}",
        "SMTP NOOP, telemetry on, µs of CPU": f"{costs.noop_on_us:.1f}",
        "telemetry, µs per command": f"{costs.noop_us:.1f}",
        "octets a waiting span holds": f"{costs.waiting_span_octets:,.0f}",
        "collection and export of 1,000 series, ms of CPU": f"{costs.collection_ms:.1f}",
        "longest callback of the event loop meanwhile, ms of CPU": f"{costs.loop_ms:.1f}",
    }


def _noops(directory: Path) -> tuple[float, float]:
    """CPU of the server per NOOP in microseconds with telemetry off and on, without that of connecting.

    The two servers take turns, so that other load on the machine affects both.
    """
    spent_seconds = {OFF: 0.0, ON: 0.0}
    with ExitStack() as stack:
        collector = stack.enter_context(servers.otlp_sink())
        targets = {
            telemetry: stack.enter_context(_server(f"noop {telemetry}", endpoint, directory))
            for telemetry, endpoint in ((OFF, None), (ON, collector))
        }
        for number in range(ROUNDS):
            for telemetry in in_turn(list(targets), number):
                with alone(targets[telemetry], targets.values()):
                    spent_seconds[telemetry] += _noop_round(targets[telemetry])
    microseconds = 1e6 / (ROUNDS * CONNECTIONS * NOOPS_PER_CONNECTION)
    return spent_seconds[OFF] * microseconds, spent_seconds[ON] * microseconds


@contextmanager
def _server(name: str, collector: str | None, directory: Path, **settings: str) -> Iterator[servers.Target]:
    database = f"sqlite:///{directory}/{name.replace(' ', '-')}.db"
    with servers.relate_mail(name, database, collector, 1, directory, reader_workers=1, **settings) as target:
        yield target


def _noop_round(target: servers.Target) -> float:
    """CPU seconds of the SMTP process for the NOOPs of all connections."""
    smtp = target.processes[0]
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", target.mx))) for _ in range(CONNECTIONS)
        ]
        for connection in connections:
            connection.recv(512)
        before = thread_seconds(smtp)
        for _ in range(NOOPS_PER_CONNECTION):
            for connection in connections:
                connection.sendall(b"NOOP\r\n")
            for connection in connections:
                connection.recv(512)
        return thread_seconds(smtp) - before


class _HangingSink(CountingSink):
    """Answers no request for spans before `released`, so that all further spans wait."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """Wait for the end of the measurement."""
        self.released.wait()


@contextmanager
def _hanging_sink() -> Iterator[str]:
    sink = _HangingSink()
    server = OtlpServer(sink)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        sink.released.set()
        server.stop()


def _waiting_span_octets(directory: Path) -> float:
    """Growth of the SMTP process per span that waits for its export (PSS)."""
    patient = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600", "OTEL_BSP_EXPORT_TIMEOUT": "600000"}
    with _hanging_sink() as endpoint, _server("waiting", endpoint, directory, **patient) as target:
        smtp = target.processes[:1]
        for _ in range(WARM_UP_ROUNDS):
            _noop_round(target)
        before = pss_kib(smtp)
        for _ in range(ROUNDS):
            _noop_round(target)
        return (pss_kib(smtp) - before) * 1024 / (ROUNDS * SPANS_PER_ROUND)


def _collection() -> dict[str, float]:
    """The values of `tests.bench.collection`, which runs in a process of its own."""
    with servers.otlp_sink() as endpoint:
        command = [sys.executable, "-m", "tests.bench.collection", endpoint]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    collection: dict[str, float] = json.loads(done.stdout)
    return collection
