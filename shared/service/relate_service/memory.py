"""How freed memory goes back to the system (glibc; elsewhere nothing is changed)."""

import ctypes

# mallopt(3). Larger blocks are mapped by themselves, so that freeing them gives their memory back at once, and content
# grows without being copied. Left to itself, glibc raises this limit to the size of the largest block that was freed.
M_MMAP_THRESHOLD = -3
MAPPED_OCTETS = 128 * 1024


def give_large_blocks_back() -> None:
    """Let large blocks be given back to the system as soon as they are freed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_OCTETS)
