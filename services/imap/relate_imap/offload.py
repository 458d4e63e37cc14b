"""Work that would hold the loop too long, done in threads of its own: the interpreter takes turns between them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from relate_imap.context import Offload

# At once in a process: more would only share the same interpreter. Others wait, and the loop goes on.
MAX_THREADS = 2


def thread_offload() -> Offload:
    """For `Context.aside`. The threads end with the process."""
    pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="imap")

    async def offload(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    return offload
