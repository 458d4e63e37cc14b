"""A server as a process of this machine, for tests without Docker."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from os import environ
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

from relate_mail.testing.server import Server, parse_ready

START_SECONDS = 60.0
STOP_SECONDS = 15.0
MAX_ERROR_CHARACTERS = 4_000


class StartError(RuntimeError):
    """The process ended, or was not ready in time; the message has the end of its standard error."""


class RelateProcess:
    """`relate dev` on free ports of 127.0.0.1, as a context manager whose value is the `Server`.

    `arguments` are further ones of `relate dev`, such as `--seed`; `settings` are environment variables. `command`
    starts `relate`, by default that of this Python's environment. It may take `start_seconds`.
    """

    def __init__(
        self,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._start_seconds = start_seconds
        self._command = [*(command or (sys.executable, "-m", "relate")), "dev", "--json", "--any-ports", *arguments]
        self._settings = {**environ, **(settings or {})}
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Server:
        """Start the process, and wait until it is ready. Raises StartError, OSError."""
        self._errors = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(  # noqa: S603 - the test's own command
            self._command,
            env=self._settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )
        output = self._process.stdout
        if output is None:
            raise RuntimeError("the process has no standard output")
        is_readable, _, _ = select.select([output], [], [], self._start_seconds)
        line = output.readline() if is_readable else ""
        if not line:
            errors = self._end()
            raise StartError(f"`relate dev` did not start: {errors}")
        return parse_ready(json.loads(line))

    def stop(self) -> None:
        """Stop the process. Idempotent."""
        self._end()

    def _end(self) -> str:
        """Stop the process; returns the end of its standard error."""
        process, self._process = self._process, None
        if process is None or self._errors is None:
            return ""
        with process, self._errors as errors:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            errors.seek(0)
            return errors.read()[-MAX_ERROR_CHARACTERS:]
