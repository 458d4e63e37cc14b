"""Migrate in processes that are killed at a statement, forks of one process that has imported all modules.

    python -m tests.integration.upgrade.killed_migration

reads lines `statement url` and prints `killed` or `done` for each: the fork was killed before that statement or commit,
counted from 1, or has finished. 0 never kills.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from sqlalchemy import Engine, event

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate

KILLED, DONE = "killed", "done"


class Killer:
    """A running process of this module, which forks."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def migrate(self, url: str, statement: int) -> str:
        """Migrate a database, killed at a statement; returns KILLED or DONE."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        return _ask(stdin, stdout, f"{statement} {url}\n")


@contextmanager
def run_killer() -> Iterator[Killer]:
    """Run this module as a process."""
    arguments = [sys.executable, "-m", "tests.integration.upgrade.killed_migration"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield Killer(process)


def _ask(stdin: IO[str], stdout: IO[str], line: str) -> str:
    stdin.write(line)
    stdin.flush()
    return stdout.readline().strip()


def _fork(statement: int, url: str) -> str:
    if child := os.fork():
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return KILLED
        return DONE if status == 0 else f"failed: {status}"
    os.dup2(2, 1)
    _kill_at(statement)
    asyncio.run(_migrate(url))
    os._exit(0)


def _kill_at(statement: int) -> None:
    remaining = statement

    def count(*_: object) -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


async def _migrate(url: str) -> None:
    engine = open_engine(url)
    await migrate(engine)
    await engine.dispose()


if __name__ == "__main__":
    for line in sys.stdin:
        number, _, database = line.strip().partition(" ")
        print(_fork(int(number), database), flush=True)
