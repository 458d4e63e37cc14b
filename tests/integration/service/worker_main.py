"""A program of several workers for the tests: each writes its name and process to a file, then waits to be stopped.

Each request to reload that a worker hears becomes a file, too.
"""

import asyncio
import os
import sys
from pathlib import Path

from relate_service.workers import reload_event, run, stop_requested


async def record_reloads(number: int, reload: asyncio.Event) -> None:
    await reload.wait()
    Path(sys.argv[1], f"{number}.reloaded").touch()


async def main(number: int) -> None:
    noting = asyncio.create_task(record_reloads(number, reload_event()))
    Path(sys.argv[1], f"{number}.{os.getpid()}").touch()
    await stop_requested()
    noting.cancel()
    Path(sys.argv[1], f"{number}.stopped").touch()


run(main, int(sys.argv[2]))
