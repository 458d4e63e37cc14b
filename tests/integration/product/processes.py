"""The state of the product's processes, read from /proc (Linux)."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.product import TIMEOUT_SECONDS

LISTEN = "0A"  # a socket's state in /proc/net/tcp


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listeners(pid: int, port: int) -> int:
    """The number of sockets that a process listens on for a port; 0 if the process has ended."""
    try:
        sockets = {f"socket:[{inode}]" for inode in _listening(pid, port)}
        return sum(file in sockets for file in open_files(pid))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def open_files(pid: int) -> list[str]:
    """The open files of a process: paths, and `socket:[inode]`."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed after the listing
            found.append(str(entry.readlink()))
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition that sends no notification."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _listening(pid: int, port: int) -> list[str]:
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [row[9] for row in rows if row[3] == LISTEN and int(row[1].partition(":")[2], 16) == port]
