"""Resident memory of a process, from /proc (Linux)."""

import ctypes
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1_000_000
SELF = "self"
RESET_PEAK = "5"  # to clear_refs, see proc(5)


@contextmanager
def bounded_memory(octets: int, pid: int | str = SELF) -> Iterator[None]:
    """Assert that the peak inside the block exceeds the memory at its start by at most `octets`."""
    if pid == SELF:
        release_freed_memory()
    Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
    before = _status(pid, "VmRSS")
    yield
    grown = _status(pid, "VmHWM") - before
    assert grown <= octets, f"{grown / MEGABYTE:.0f} MB more, of {octets / MEGABYTE:.0f} MB at most"


def release_freed_memory() -> None:
    """Return freed memory to the kernel: glibc would reuse it, which hides new allocations from RSS."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(pid: int | str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
