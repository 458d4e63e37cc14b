"""Waiting for what others do in their own time."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0  # seconds: services export every ten, and a loaded machine takes its time for the rest
LOOK_EVERY = 0.2  # seconds: nobody tells us, so we ask

T = TypeVar("T")


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `look` returns, once that is true. What it fails with until the end, it fails with."""
    deadline = time.monotonic() + patience
    while True:
        last = time.monotonic() > deadline
        try:
            found = look()
        except (AssertionError, OSError):
            if last:
                raise
        else:
            if found:
                return found
            assert not last, f"waited {patience:.0f} s in vain: {found!r}"
        time.sleep(LOOK_EVERY)
