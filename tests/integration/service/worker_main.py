"""A program of several workers for the tests: each writes its name and process to a file, then waits to be stopped."""

import os
import sys
from pathlib import Path

from relate_service.workers import run, stop_requested


async def main(number: int) -> None:
    Path(sys.argv[1], f"{number}.{os.getpid()}").touch()
    await stop_requested()
    Path(sys.argv[1], f"{number}.stopped").touch()


run(main, int(sys.argv[2]))
