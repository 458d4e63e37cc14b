"""How freed memory goes back to the system (glibc; elsewhere nothing is changed)."""

import asyncio
import ctypes

# mallopt(3). Larger blocks are mapped by themselves, so that freeing them gives their memory back at once, and content
# grows without being copied. Left to itself, glibc raises this limit to the size of the largest block that was freed.
M_MMAP_THRESHOLD = -3
MAPPED_OCTETS = 128 * 1024

TRIM_DELAY_SECONDS = 1.0
"""After much was freed: what is freed within that time is given back together."""

_libc = ctypes.CDLL(None)


def give_large_blocks_back() -> None:
    """Let large blocks be given back to the system as soon as they are freed."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_OCTETS)


class Trimmer:
    """Gives the small blocks back that were freed: in a thread, as it takes milliseconds (malloc_trim(3))."""

    def __init__(self) -> None:
        self._waits = False

    def trim_soon(self) -> None:
        """Much was freed, in the loop's thread."""
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(TRIM_DELAY_SECONDS, self._trim)

    def _trim(self) -> None:
        self._waits = False
        trim = getattr(_libc, "malloc_trim", None)
        if trim is not None:
            asyncio.get_running_loop().run_in_executor(None, trim, 0)
