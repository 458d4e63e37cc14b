"""The server that all measured systems relay to: `smtp-sink` of Debian's postfix, which counts and forgets messages."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import free_ports, stop, wait_for_port

PROGRAM = "smtp-sink"
BACKLOG = 1024  # connections that wait while the sink is held
POLL_SECONDS = 0.005  # how often its counters are read, and how exact the end of a run is
WAIT_SECONDS = 120.0
_COUNT = re.compile(rb"mesg=([0-9]+)")  # of `sess=1 quit=0 mesg=7\r`, which follows each event


class Sink:
    """A running sink. `port` is on 127.0.0.1; `messages` is the number that it has received so far."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.messages = 0
        self._process = process
        self._reader = threading.Thread(target=self._read, name="sink counters", daemon=True)
        self._reader.start()

    def wait_for(self, messages: int) -> None:
        """Return when it has received so many. Raises TimeoutError, because deferred mail comes minutes later."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self.messages < messages:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the sink has {self.messages} messages instead of {messages}")
            time.sleep(POLL_SECONDS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop the sink inside the block: the kernel accepts connections, but there is no greeting."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        while octets := os.read(self._process.stdout.fileno(), 65_536):
            self.messages, rest = last_count(rest + octets, self.messages)
            time.sleep(POLL_SECONDS)  # less than the pipe holds is written meanwhile


def last_count(counters: bytes, before: int) -> tuple[int, bytes]:
    """The messages that the last whole counters tell, else those `before`; and what follows these counters."""
    *whole, rest = counters.split(b"\r")
    counts = [int(found[1]) for line in whole if (found := _COUNT.search(line))]
    return (counts[-1] if counts else before), rest


def find_program() -> Path | None:
    """The path of `smtp-sink`; None where Debian's postfix is not installed."""
    found = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found else None


@contextmanager
def sink(program: Path) -> Iterator[Sink]:
    """Run a sink inside the block."""
    (port,) = free_ports(1)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    command = [str(program), *user, "-c", f"127.0.0.1:{port}", str(BACKLOG)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        wait_for_port(port)
        yield Sink(port, process)
    finally:
        stop(process)
