"""The parent retries the start of a worker."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from relate_service import workers
from relate_supervisor import Backoff, Supervisor

TIMEOUT_SECONDS = 30.0


def test_metrics_of_several_workers_cannot_be_scraped() -> None:
    program = "from relate_service.workers import run; run(lambda number: print('started'), 2)"
    environ = os.environ | {"OTEL_METRICS_EXPORTER": "prometheus"}
    process = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert process.stdout == ""
    assert "OTEL_METRICS_EXPORTER: prometheus cannot serve the metrics of 2 worker processes" in process.stderr
    assert "use otlp" in process.stderr


async def test_a_failed_start_of_a_worker_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    start, errors, started = asyncio.create_subprocess_exec, iter([OSError(errno.EAGAIN, "no processes")]), []
    running = asyncio.Event()

    async def fail_once(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        if error := next(errors, None):
            raise error
        started.append(await start(*arguments, **options))
        running.set()
        return started[0]

    monkeypatch.setattr(workers, "_command", lambda: [sys.executable, "-c", "import sys; sys.stdin.read()"])
    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail_once)
    supervisor = Supervisor(Backoff(0.001, 0.001, 60.0))
    with capture_logs():
        keeper = supervisor.keep("service.workers", partial(workers._keep, 0, workers._Children()))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await running.wait()
            keeper.cancel()
            await asyncio.wait([keeper])
    assert supervisor.failures == {"service.workers": 1}
    assert started[0].returncode is not None


async def test_a_reload_reaches_a_worker_that_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start, reload = asyncio.create_subprocess_exec, asyncio.Event()

    async def started_late(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*arguments, **options)
        reload.set()
        while reload.is_set():  # the other task takes it meanwhile
            await asyncio.sleep(0)
        return process

    program = "import signal, sys; signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP}); sys.stdin.read()"
    monkeypatch.setattr(workers, "_command", lambda: [sys.executable, "-c", program])
    monkeypatch.setattr(asyncio, "create_subprocess_exec", started_late)
    children = workers._Children()
    tasks = [
        asyncio.create_task(workers._keep(0, children)),
        asyncio.create_task(workers._forward_reloads(children, reload)),
    ]
    with capture_logs() as logs:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not logs:
                await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [entry["status"] for entry in logs] == [-signal.SIGHUP]
