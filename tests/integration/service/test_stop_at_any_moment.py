"""A stop signal at any moment ends the process with status 0, after its resources are closed."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.product.processes import wait_until
from tests.integration.service.test_workers import TIMEOUT_SECONDS
from tests.support.product import HOST, Product

PORTS = {"relate_smtp": "Smtp__MxPort", "relate_pop3": "Pop3__Port", "relate_api": "Api__Port"}
POLL_SECONDS = 0.001
SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """Provides ports and environment; not started."""
    with Product(tmp_path) as product:
        yield product


@pytest.fixture(params=PORTS)
def process(request: pytest.FixtureRequest, product: Product) -> Iterator[subprocess.Popen[bytes]]:
    """A service process that was just started."""
    command = [sys.executable, "-m", request.param]
    with subprocess.Popen(
        command, cwd=product.directory, env=product.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as started:
        yield started
        started.kill()


def has_signal(process: subprocess.Popen[bytes], field: str) -> bool:
    """Whether SIGTERM is in a signal set of the process: SigBlk, SigCgt or SigPnd."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return any(int(mask, 16) & SIGTERM_BIT for mask in re.findall(rf"^{field}:\s*(\w+)", status, re.MULTILINE))


def blocks_stop_signals(process: subprocess.Popen[bytes], product: Product) -> bool:
    return has_signal(process, "SigBlk")


def runs_its_loop(process: subprocess.Popen[bytes], product: Product) -> bool:
    return has_signal(process, "SigCgt") and not has_signal(process, "SigBlk")


def has_started_its_migration(process: subprocess.Popen[bytes], product: Product) -> bool:
    return (product.directory / "relate.db").exists()


def serves(process: subprocess.Popen[bytes], product: Product) -> bool:
    return any(connects(product.ports[port]) for port in PORTS.values())


def connects(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0


@pytest.mark.parametrize("moment", [blocks_stop_signals, runs_its_loop, has_started_its_migration, serves])
def test_a_service_stops_at_any_moment_with_status_0(
    process: subprocess.Popen[bytes], product: Product, moment: Callable[[subprocess.Popen[bytes], Product], bool]
) -> None:
    wait_until(lambda: moment(process, product))
    process.terminate()
    _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, b"Traceback" in errors) == (0, False), errors


def test_a_second_stop_signal_changes_nothing(process: subprocess.Popen[bytes], product: Product) -> None:
    wait_until(lambda: serves(process, product))
    while process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
    assert process.stderr is not None
    assert (process.returncode, b"Traceback" in process.stderr.read()) == (0, False)
