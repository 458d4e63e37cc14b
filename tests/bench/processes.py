"""Ports, CPU time and memory of other processes (Linux)."""

import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

START_SECONDS = 120.0  # on a machine that is busy; otherwise a second
PORTS = range(20_000, 30_000)  # below those that the kernel assigns to outgoing connections
_TICKS = os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Different ports that were free a moment ago."""
    with ExitStack() as stack:
        return [stack.enter_context(_bound()).getsockname()[1] for _ in range(count)]


def _bound() -> socket.socket:
    """A socket on a free port of PORTS."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", random.choice(PORTS)))
        except OSError:
            continue


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


def thread_seconds(pid: int) -> float:
    """CPU time of the threads that a process has, exact to nanoseconds (proc(5), schedstat)."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9


def pss_kib(pids: Iterable[int]) -> int:
    """Proportional set size, KiB."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def peak_kib(pid: int) -> int:
    """Peak resident set size, KiB."""
    return _field(pid, "status", "VmHWM")


def _field(pid: int, file: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
