"""How `RelateProcess` starts a process: what it takes as ready, and what it does with any other."""

import json
import os
import sys
from pathlib import Path

import pytest

from relate_mail.testing import Ports, RelateProcess, StartError

READY = {"host": "127.0.0.1", "adminKey": "key", **{name: number for number, name in enumerate(Ports._fields, 1)}}
IDLE = "import time; time.sleep(600)"


def process(script: str, seconds: float = 30.0) -> RelateProcess:
    """A process that runs this script in place of `relate`."""
    return RelateProcess(command=[sys.executable, "-c", script], start_seconds=seconds)


def print_and_idle(text: str) -> str:
    return f"print({text!r}, end='', flush=True); {IDLE}"


def test_the_first_line_tells_the_ports() -> None:
    with process(print_and_idle(json.dumps(READY) + "\n")) as server:
        assert (server.host, server.ports, server.admin_key) == ("127.0.0.1", Ports(*range(1, 10)), "key")


@pytest.mark.parametrize("line", ["12:00:00 a span\n", "{}\n", "[]\n", "null\n"])
def test_another_first_line_is_a_start_error_with_the_standard_error(line: str) -> None:
    script = f"import sys; print('relate: the reason', file=sys.stderr, flush=True); {print_and_idle(line)}"
    with pytest.raises(StartError, match=r"instead of its ports: relate: the reason"):
        process(script).start()


@pytest.mark.parametrize("status", [0, 1])
def test_an_end_is_a_start_error_with_the_standard_error(status: int) -> None:
    script = f"import sys; print('{{', end=''); print('relate: the reason', file=sys.stderr); sys.exit({status})"
    with pytest.raises(StartError, match="did not start: relate: the reason"):
        process(script).start()


@pytest.mark.parametrize("printed", ["", json.dumps(READY)])
def test_a_process_that_is_not_ready_in_time_is_ended(printed: str, tmp_path: Path) -> None:
    identifier = tmp_path / "pid"
    script = f"import os, pathlib; pathlib.Path({str(identifier)!r}).write_text(str(os.getpid())); "
    with pytest.raises(StartError, match=r"was not ready in 0\.5 seconds"):
        process(script + print_and_idle(printed), seconds=0.5).start()
    if identifier.exists():  # on a slow machine it may have been ended before
        with pytest.raises(ProcessLookupError):
            os.kill(int(identifier.read_text()), 0)


def test_a_second_start_is_refused_until_the_stop() -> None:
    server = process(print_and_idle(json.dumps(READY) + "\n"))
    with server:
        with pytest.raises(StartError, match=r"call stop\(\) first"):
            server.start()
    with server:
        pass
    server.stop()


def test_a_missing_command_is_an_os_error() -> None:
    server = RelateProcess(command=["/nonexistent/relate"])
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            server.start()
