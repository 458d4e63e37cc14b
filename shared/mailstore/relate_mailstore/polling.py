"""Waiting for what another process holds: it does not tell when it lets go, so it is asked again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

# Asked again so often (seconds): the session that is leaving needs a few milliseconds.
ASK_AGAIN = 0.02


async def granted(ask: Callable[[], Awaitable[bool]], patience: float) -> bool:
    """Whether `ask` said yes, now or within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not await ask():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(ASK_AGAIN)
    return True
