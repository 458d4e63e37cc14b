"""A program with several workers for tests: each writes its number and process id to a file, then waits for a stop.

A worker writes another file for each reload.
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
