"""Runs a service in one process, or in several worker processes that share its ports.

The parent has no resources of its own: it starts the workers, restarts those that die, and forwards stop and reload. A
worker whose parent has died stops, because its standard input is a pipe from the parent, which then reaches its end.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial

import structlog
import uvloop

from relate_config import ConfigurationError
from relate_config.private import UMASK
from relate_service.memory import give_large_blocks_back
from relate_service.signals import RELOAD_SIGNAL, STOP_SIGNALS, block_signals, unblock_signals
from relate_supervisor import Supervisor
from relate_telemetry.environment import check_workers
from relate_telemetry.logs import configure_logging

log = structlog.get_logger(__name__)

# The variable in which the parent passes its number to a worker.
WORKER_VARIABLE = "RELATE_WORKER"
# The service's name in the parent's log.
PARENT_SERVICE_NAME = "relate-workers"
# The delay before a dead worker is restarted, because a crash at start must not burn a core.
RESTART_DELAY_SECONDS = 1.0

# New objects before the garbage collector runs. Reference counting frees the objects of a command; at the default of
# 700 the collector would traverse them several times per message.
GC_THRESHOLD_OBJECTS = 50_000

_STDERR_FILE_NUMBER = 2

Main = Callable[[int], Coroutine[None, None, None]]


def run(main: Main, workers: int = 1) -> None:
    """Run `main(n)` in `workers` processes, n from 0; a single one in this process. Returns after a stop.

    Raises ConfigurationError if an OTEL_* variable does not fit several processes.
    """
    block_signals()
    os.umask(UMASK)
    give_large_blocks_back()
    gc.freeze()  # imported modules are never garbage
    gc.set_threshold(GC_THRESHOLD_OBJECTS)
    number = os.environ.get(WORKER_VARIABLE)
    if number is not None:
        uvloop.run(_stoppable(_run_worker(main(int(number)))))
    elif workers > 1:
        configure_logging(PARENT_SERVICE_NAME)
        _check_environment(workers)
        asyncio.run(_stoppable(_run_workers(workers)))
    else:
        uvloop.run(_stoppable(main(0)))


def _check_environment(workers: int) -> None:
    try:
        check_workers(workers)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


async def stop_requested() -> None:
    """Wait for a stop signal (SIGTERM, SIGINT). A `main` that does not wait here yet is cancelled instead."""
    await _STOP.get().wait()


def reload_event() -> asyncio.Event:
    """Return the event that SIGHUP sets to request a reload of certificates.

    Its only waiter clears it. Outside of `run` returns a new event, which is never set.
    """
    return _RELOAD.get(None) or asyncio.Event()


class _Stop:
    """The request to stop this process. Idempotent."""

    def __init__(self) -> None:
        self.starting: asyncio.Task[None] | None = None
        self._requested = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    def request(self) -> None:
        if not self.is_requested and self.starting is not None:
            self.starting.cancel()
        self._requested.set()

    async def wait(self) -> None:
        self.starting = None
        await self._requested.wait()


_STOP: ContextVar[_Stop] = ContextVar("stop")
_RELOAD: ContextVar[asyncio.Event] = ContextVar("reload")


async def _stoppable(main: Coroutine[None, None, None]) -> None:
    """Run `main` with signal handlers. A stop signal ends `stop_requested`, or cancels `main` if it still starts."""
    stop, reload = _Stop(), asyncio.Event()
    _STOP.set(stop)
    _RELOAD.set(reload)
    stop.starting = task = asyncio.create_task(main)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.request)
    asyncio.get_running_loop().add_signal_handler(
        RELOAD_SIGNAL, partial(_on_hangup, os.isatty(_STDERR_FILE_NUMBER), stop, reload)
    )
    unblock_signals()
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_requested:
            raise
    finally:
        block_signals()  # until the interpreter exits


def _on_hangup(on_terminal: bool, stop: _Stop, reload: asyncio.Event) -> None:
    """Handle SIGHUP: a reload, unless the kernel or the shell sent it because the terminal was closed."""
    if on_terminal and not os.isatty(_STDERR_FILE_NUMBER):
        stop.request()
    else:
        reload.set()


async def _run_worker(main: Coroutine[None, None, None]) -> None:
    """Run a worker, for which the end of standard input is a stop, as SIGTERM is."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(0)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(0, orphaned)
    await main


async def _run_workers(workers: int) -> None:
    supervisor, children = Supervisor(), _Children()
    keepers = [supervisor.keep("service.workers", partial(_keep, number, children)) for number in range(workers)]
    keepers.append(supervisor.keep("service.workers", partial(_forward_reloads, children, reload_event())))
    await stop_requested()
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)


class _Children:
    """The running workers. `starting` is held from before a worker is started until it is in `running`."""

    def __init__(self) -> None:
        self.running: set[asyncio.subprocess.Process] = set()
        self.starting = asyncio.Lock()


async def _forward_reloads(children: _Children, reload: asyncio.Event) -> None:
    while True:
        await reload.wait()
        reload.clear()
        async with children.starting:  # a worker that is being started may have read the old files
            for child in children.running:
                with contextlib.suppress(ProcessLookupError):  # it died, and its replacement loads the newest files
                    child.send_signal(RELOAD_SIGNAL)


async def _keep(number: int, children: _Children) -> None:
    """Keep one worker running, in `children`, until cancelled; then stop it and wait for its end."""
    while True:
        async with children.starting:
            child = await _start(number)
            children.running.add(child)
        try:
            status = await child.wait()
        except BaseException:
            child.terminate()
            await child.wait()
            raise
        finally:
            children.running.discard(child)
        log.error("worker died", worker=number, status=status)
        await asyncio.sleep(RESTART_DELAY_SECONDS)


async def _start(number: int) -> asyncio.subprocess.Process:
    """Start a worker that inherits a blocked SIGHUP, because before it installs a handler the signal would kill it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {RELOAD_SIGNAL})
    try:
        return await asyncio.create_subprocess_exec(
            *_command(), stdin=asyncio.subprocess.PIPE, env={**os.environ, WORKER_VARIABLE: str(number)}
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {RELOAD_SIGNAL})


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
