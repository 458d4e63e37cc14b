"""Polls until a condition holds."""

import time
from collections.abc import Callable
from typing import TypeVar

TIMEOUT_SECONDS = 60.0  # services export every ten seconds; the rest is for a loaded machine
POLL_SECONDS = 0.2

T = TypeVar("T")


def eventually(poll: Callable[[], T], timeout: float = TIMEOUT_SECONDS) -> T:
    """Poll until the result is true, and return it. Errors of the last poll are raised."""
    deadline = time.monotonic() + timeout
    while True:
        is_last = time.monotonic() > deadline
        try:
            found = poll()
        except (AssertionError, OSError):
            if is_last:
                raise
        else:
            if found:
                return found
            assert not is_last, f"after {timeout:.0f} s: {found!r}"
        time.sleep(POLL_SECONDS)
