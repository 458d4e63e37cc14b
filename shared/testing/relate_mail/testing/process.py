"""A server as a process of this machine, for tests without Docker."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

from relate_mail.testing.server import Server, parse_ready

START_SECONDS = 60.0
STOP_SECONDS = 15.0
MAX_ERROR_CHARACTERS = 4_000
MAX_LINE_OCTETS = 200  # of an unexpected one, in the error
READ_OCTETS = 4_096


class StartError(RuntimeError):
    """The process was not ready in time, or ended, or printed something else; the message has the end of its errors."""


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
        self._settings = {**os.environ, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[str] | None = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Server:
        """Start the process, and wait until it is ready; one that is not is ended. Raises StartError, OSError."""
        if self._process is not None:
            raise StartError("`relate dev` was started before: call stop() first")
        self._errors = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by `_end`
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the test's own command
                self._command, env=self._settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors
            )
            return _read_ready(self._process, self._start_seconds)
        except _NotReady as error:
            raise StartError(f"`relate dev` {error}: {self._end()}") from None
        except BaseException:  # of Ctrl-C too
            self._end()
            raise

    def stop(self) -> None:
        """Stop the process. Idempotent."""
        self._end()

    def _end(self) -> str:
        """Stop the process, if there is one; returns the end of its standard error."""
        process, self._process = self._process, None
        errors, self._errors = self._errors, None
        if errors is None:
            return ""
        with errors:
            if process is not None:
                _stop(process)
            errors.seek(0)
            return errors.read()[-MAX_ERROR_CHARACTERS:]


class _NotReady(Exception):
    """The predicate of a sentence about the process."""


def _read_ready(process: subprocess.Popen[bytes], seconds: float) -> Server:
    """The server of the process's first line. Raises _NotReady."""
    line = _read_line(process, seconds)
    try:
        return parse_ready(json.loads(line))
    except (ValueError, TypeError, KeyError):
        raise _NotReady(f"printed {line[:MAX_LINE_OCTETS]!r} instead of its ports") from None


def _read_line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The first line of standard output, without its end. Raises _NotReady."""
    if process.stdout is None:
        raise RuntimeError("the process has no standard output")
    output = process.stdout.fileno()
    deadline = time.monotonic() + seconds
    read = b""
    while b"\n" not in read:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            raise _NotReady(f"was not ready in {seconds:g} seconds")
        octets = os.read(output, READ_OCTETS)
        if not octets:
            raise _NotReady("did not start")
        read += octets
    return read.partition(b"\n")[0]


def _stop(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
