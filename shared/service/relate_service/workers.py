"""One process or several on the same ports.

The parent holds nothing but its children: it starts them, starts again those that die, and passes a stop and a reload
on. A child whose parent is gone stops too: the pipe that is its standard input ends.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Set
from contextvars import ContextVar
from functools import partial

import structlog
import uvloop

from relate_config.private import UMASK
from relate_service.memory import give_large_blocks_back
from relate_service.signals import RELOAD_SIGNAL, STOP_SIGNALS, block_signals, unblock_signals
from relate_supervisor import Supervisor
from relate_telemetry.logs import configure_logging

log = structlog.get_logger(__name__)

# Which worker a process is, set by the parent; also tells a child that it is one.
WORKER_VARIABLE = "RELATE_WORKER"
# The service's name in the parent's log.
PARENT_SERVICE_NAME = "relate-workers"
# A worker that dies is started again after so long (seconds): a crash at start must not burn a core.
RESTART_DELAY_SECONDS = 1.0

# Objects that may be made before the collector looks for cycles. What a command makes is freed by counting; at the
# default of 700 the collector would walk through it all several times a message.
GC_THRESHOLD_OBJECTS = 50_000

_STDERR = 2

Main = Callable[[int], Coroutine[None, None, None]]


def run(main: Main, workers: int = 1) -> None:
    """Run `main(n)` in `workers` processes, n from 0; with one worker, in this process. Returns when it was stopped."""
    block_signals()
    os.umask(UMASK)
    give_large_blocks_back()
    gc.freeze()  # what was imported stays
    gc.set_threshold(GC_THRESHOLD_OBJECTS)
    number = os.environ.get(WORKER_VARIABLE)
    if number is not None:
        uvloop.run(_stoppable(_under_parent(main(int(number)))))
    elif workers > 1:
        configure_logging(PARENT_SERVICE_NAME)
        asyncio.run(_stoppable(_run_workers(workers)))
    else:
        uvloop.run(_stoppable(main(0)))


async def stop_requested() -> None:
    """Return when the process is asked to stop (SIGTERM, SIGINT). Who does not wait here yet is cancelled then."""
    await _STOP.get().wait()


def reload_event() -> asyncio.Event:
    """The event that is set when this process is asked to read its certificates again (SIGHUP).

    Its one waiter clears it. Outside `run` it is a new one, which is never set.
    """
    return _RELOAD.get(None) or asyncio.Event()


class _Stop:
    """The request to stop this process. What is asked again, while it stops, changes nothing."""

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
    """Run `main` to its end, which a stop brings about: tidily, whether all was open already or not."""
    stop, reload = _Stop(), asyncio.Event()
    _STOP.set(stop)
    _RELOAD.set(reload)
    stop.starting = task = asyncio.create_task(main)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.request)
    asyncio.get_running_loop().add_signal_handler(RELOAD_SIGNAL, partial(_hang_up, os.isatty(_STDERR), stop, reload))
    unblock_signals()
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_requested:
            raise
    finally:
        block_signals()  # what is left is the interpreter's end


def _hang_up(on_terminal: bool, stop: _Stop, reload: asyncio.Event) -> None:
    """SIGHUP asks for a reload, unless the kernel or the shell sends it because the terminal was closed."""
    if on_terminal and not os.isatty(_STDERR):
        stop.request()
    else:
        reload.set()


async def _under_parent(main: Coroutine[None, None, None]) -> None:
    """A worker: the end of standard input is a request to stop, as SIGTERM is."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(0)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(0, orphaned)
    await main


async def _run_workers(workers: int) -> None:
    supervisor = Supervisor()
    children: set[asyncio.subprocess.Process] = set()
    keepers = [supervisor.keep("service.workers", partial(_keep, number, children)) for number in range(workers)]
    keepers.append(supervisor.keep("service.workers", partial(_pass_reloads_on, children, reload_event())))
    await stop_requested()
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)


async def _pass_reloads_on(children: Set[asyncio.subprocess.Process], reload: asyncio.Event) -> None:
    while True:
        await reload.wait()
        reload.clear()
        for child in children:
            with contextlib.suppress(ProcessLookupError):  # it has died, and what replaces it reads the newest
                child.send_signal(RELOAD_SIGNAL)


async def _keep(number: int, children: set[asyncio.subprocess.Process]) -> None:
    """Keep one worker running until cancelled; then stop it and wait for it. While it runs it is in `children`."""
    while True:
        child = await _start(number)
        children.add(child)
        try:
            status = await child.wait()
        except BaseException:
            child.terminate()
            await child.wait()
            raise
        finally:
            children.discard(child)
        log.error("worker died", worker=number, status=status)
        await asyncio.sleep(RESTART_DELAY_SECONDS)


async def _start(number: int) -> asyncio.subprocess.Process:
    """Start a worker with SIGHUP blocked, as it inherits: before it has its handler, a reload would end it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {RELOAD_SIGNAL})
    try:
        return await asyncio.create_subprocess_exec(
            *_command(), stdin=asyncio.subprocess.PIPE, env={**os.environ, WORKER_VARIABLE: str(number)}
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {RELOAD_SIGNAL})


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
