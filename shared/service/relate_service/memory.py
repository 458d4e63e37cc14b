"""Returns freed memory to the system (glibc; no effect elsewhere)."""

import asyncio
import ctypes

# mallopt(3). Larger blocks get their own mapping, which is returned to the system when freed, and grows without a copy.
# By default glibc raises this threshold to the size of the largest block freed.
MMAP_THRESHOLD_OPTION = -3  # M_MMAP_THRESHOLD
MAPPED_OCTETS = 128 * 1024

TRIM_DELAY_SECONDS = 1.0
"""The delay of a trim, so that it covers blocks freed within this time."""

_libc = ctypes.CDLL(None)


def give_large_blocks_back() -> None:
    """Make glibc return large blocks to the system as soon as they are freed."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD_OPTION, MAPPED_OCTETS)


class Trimmer:
    """Returns freed small blocks to the system by malloc_trim(3), in a thread because it takes milliseconds."""

    def __init__(self) -> None:
        self._is_scheduled = False

    def trim_soon(self) -> None:
        """Schedule a trim. Call in the event loop's thread."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(TRIM_DELAY_SECONDS, self._trim)

    def _trim(self) -> None:
        self._is_scheduled = False
        trim = getattr(_libc, "malloc_trim", None)
        if trim is not None:
            asyncio.get_running_loop().run_in_executor(None, trim, 0)
