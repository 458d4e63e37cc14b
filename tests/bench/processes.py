"""Ports, CPU time and memory of other processes (Linux)."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

START_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Return when a server listens on the port."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process by SIGTERM."""
    process.terminate()
    process.wait(20)


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = [int(child) for child in path.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        children = []
    return [pid, *(descendant for child in children for descendant in tree(child))]


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and their descendants, including those that have ended."""
    return sum(_ticks(pid) for root in roots for pid in tree(root)) / _TICKS


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended; its parent has its CPU time
        return 0
    return sum(map(int, fields[11:15]))


def pss_kib(pids: Iterable[int]) -> int:
    """Proportional set size, KiB."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def peak_kib(pid: int) -> int:
    """Peak resident set size, KiB."""
    return _field(pid, "status", "VmHWM")


def _field(pid: int, file: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
