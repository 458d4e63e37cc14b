"""CPU of telemetry per command: the same NOOPs with telemetry on and off."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.bench import servers
from tests.bench.processes import cpu_seconds

CONNECTIONS = 10
NOOPS_PER_CONNECTION = 100  # the server counts further ones without a message or login as refused commands
ROUNDS = 40


def measure(directory: Path) -> dict[str, str]:
    """Measure the microseconds of CPU of the server's process per command."""
    database = f"sqlite:///{directory}/telemetry.db"
    with servers.relate_mail("off", database, None, 1, directory) as target:
        off = _noops(target)
    with servers.otlp_sink() as collector, servers.relate_mail("on", database, collector, 1, directory) as target:
        on = _noops(target)
    return {
        "SMTP NOOP, telemetry off, µs of CPU": f"{off:.0f}",
        "SMTP NOOP, telemetry on, µs of CPU": f"{on:.0f}",
        "telemetry, µs per command": f"{on - off:.0f}",
    }


def _noops(target: servers.Target) -> float:
    """CPU of the server per NOOP in microseconds, without that of connecting."""
    spent_seconds = sum(_noop_round(target) for _ in range(ROUNDS))
    return spent_seconds / (ROUNDS * CONNECTIONS * NOOPS_PER_CONNECTION) * 1e6


def _noop_round(target: servers.Target) -> float:
    smtp = target.processes[:1]
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", target.mx))) for _ in range(CONNECTIONS)
        ]
        for connection in connections:
            connection.recv(512)
        before = cpu_seconds(smtp)
        for _ in range(NOOPS_PER_CONNECTION):
            for connection in connections:
                connection.sendall(b"NOOP\r\n")
            for connection in connections:
                connection.recv(512)
        return cpu_seconds(smtp) - before
