"""What telemetry at 100 % costs a command: the same NOOPs with it on and off."""

import socket
from pathlib import Path

from tests.bench import servers
from tests.bench.processes import cpu_seconds

CONNECTIONS = 10
ROUNDS = 2_000


def measure(directory: Path) -> dict[str, str]:
    """Microseconds of CPU a command, of the server's process."""
    database = f"sqlite:///{directory}/telemetry.db"
    with servers.ours("off", database, None, 1, directory) as target:
        off = _noops(target)
    with servers.sink() as collector, servers.ours("on", database, collector, 1, directory) as target:
        on = _noops(target)
    return {
        "SMTP NOOP, telemetry off, µs of CPU": f"{off:.0f}",
        "SMTP NOOP, telemetry on, µs of CPU": f"{on:.0f}",
        "telemetry, µs a command": f"{on - off:.0f}",
    }


def _noops(target: servers.Target) -> float:
    smtp = target.processes[:1]
    connections = [socket.create_connection(("127.0.0.1", target.mx)) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.recv(512)
    before = cpu_seconds(smtp)
    for _ in range(ROUNDS):
        for connection in connections:
            connection.sendall(b"NOOP\r\n")
        for connection in connections:
            connection.recv(512)
    spent = cpu_seconds(smtp) - before
    for connection in connections:
        connection.close()
    return spent / (CONNECTIONS * ROUNDS) * 1e6
