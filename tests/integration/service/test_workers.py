"""Worker processes are started, restarted, stopped and reloaded by their parent, and never orphaned."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 20.0


def start(directory: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.integration.service.worker_main", str(directory), str(workers)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes(directory: Path, number: int) -> list[int]:
    return [int(path.suffix[1:]) for path in directory.glob(f"{number}.*") if path.suffix[1:].isdigit()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_reaches_every_worker(tmp_path: Path, workers: int) -> None:
    with start(tmp_path, workers) as program:
        wait_until(lambda: all(processes(tmp_path, number) for number in range(workers)))
        program.terminate()
        assert program.wait(TIMEOUT_SECONDS) == 0
    assert all((tmp_path / f"{number}.stopped").exists() for number in range(workers))


def test_a_dead_worker_is_restarted(tmp_path: Path) -> None:
    with start(tmp_path, 2) as program:
        wait_until(lambda: bool(processes(tmp_path, 1)))
        os.kill(processes(tmp_path, 1)[0], signal.SIGKILL)
        wait_until(lambda: len(processes(tmp_path, 1)) == 2)
        program.terminate()
        assert program.wait(TIMEOUT_SECONDS) == 0


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with start(tmp_path, 2) as program:
        wait_until(lambda: all(processes(tmp_path, number) for number in (0, 1)))
        program.kill()
        wait_until(lambda: all((tmp_path / f"{number}.stopped").exists() for number in (0, 1)))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_reaches_every_worker_and_stops_none(tmp_path: Path, workers: int) -> None:
    with start(tmp_path, workers) as program:
        wait_until(lambda: all(processes(tmp_path, number) for number in range(workers)))
        program.send_signal(signal.SIGHUP)
        wait_until(lambda: all((tmp_path / f"{number}.reloaded").exists() for number in range(workers)))
        program.terminate()
        assert program.wait(TIMEOUT_SECONDS) == 0
    assert all(len(processes(tmp_path, number)) == 1 for number in range(workers))


def test_a_reload_during_the_start_stays_pending(tmp_path: Path) -> None:
    blocked = "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP}); "
    blocked += "os.kill(os.getpid(), signal.SIGHUP); from tests.integration.service import worker_main"
    with subprocess.Popen([sys.executable, "-c", blocked, str(tmp_path), "1"], stderr=subprocess.DEVNULL) as program:
        wait_until((tmp_path / "0.reloaded").exists)
        program.terminate()
        assert program.wait(TIMEOUT_SECONDS) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_closing_the_terminal_stops_the_program(tmp_path: Path, workers: int) -> None:
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "tests.integration.service.worker_main", str(tmp_path), str(workers)]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside) as program:
        os.close(inside)
        wait_until(lambda: all(processes(tmp_path, number) for number in range(workers)))
        program.send_signal(signal.SIGHUP)
        wait_until(lambda: all((tmp_path / f"{number}.reloaded").exists() for number in range(workers)))
        os.close(terminal)
        program.send_signal(signal.SIGHUP)  # as the shell does
        assert program.wait(TIMEOUT_SECONDS) == 0
    assert all((tmp_path / f"{number}.stopped").exists() for number in range(workers))
