"""Runs CPU-bound work in threads, so that the interpreter switches between it and the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from relate_imap.context import Offload

# More would only compete for the same interpreter lock. Further work is queued.
MAX_THREADS = 2


def thread_offload() -> Offload:
    """For `Context.offload`. The threads end with the process."""
    pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="imap")

    async def offload(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    return offload
