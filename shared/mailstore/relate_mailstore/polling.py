"""Polling for a resource that another process holds and releases without a notification."""

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_INTERVAL_SECONDS = 0.02  # a session that is closing needs a few milliseconds


async def poll(acquire: Callable[[], Awaitable[bool]], timeout_seconds: float) -> bool:
    """Call `acquire` at least once, until it returns True or the timeout has passed. Whether it returned True."""
    deadline = time.monotonic() + timeout_seconds
    while not await acquire():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
    return True
