"""Supervises the background tasks and threads of a process: after an exception, which is logged with its traceback and
counted, the work is restarted with exponential back-off and jitter.

asyncio.TaskGroup does not fit, because it cancels all tasks when one fails.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import structlog

from relate_supervisor.tracing import NoTracing, Tracing

# The values of the metric's label `task`. docs/observability.md describes them.
TaskName = Literal[
    "accounts.last_used",
    "accounts.revocation",
    "api.server",
    "api.statistics",
    "api.webhook_changes",
    "api.webhooks",
    "event_loop",
    "mailstore.change",
    "mailstore.events",
    "mailstore.flag_writer",
    "mailstore.notices",
    "mailstore.prefetch",
    "mailstore.queue_writer",
    "mailstore.side_connection",
    "mailstore.upkeep",
    "mailstore.writer",
    "relay.beat",
    "relay.changes",
    "relay.connection",
    "relay.runner",
    "relay.statistics",
    "service.certificates",
    "service.housekeeping",
    "service.watchdog",
    "service.workers",
    "telemetry.logs",
    "telemetry.metrics",
    "telemetry.prometheus",
    "telemetry.spans",
    "wire.accept",
    "wire.deadlines",
    "wire.pushes",
]

FIRST_SECONDS = 0.1  # most failures are short: a database restart, a file limit
LAST_SECONDS = 30.0  # a task that always fails logs one traceback per half minute
STEADY_SECONDS = 60.0  # a run of this length resets the back-off to FIRST_SECONDS

_log = structlog.get_logger(__name__)


class Backoff(NamedTuple):
    """The first delay, the longest delay, and the length of a run that resets the delay, in seconds."""

    first: float = FIRST_SECONDS
    last: float = LAST_SECONDS
    steady: float = STEADY_SECONDS


class Supervisor:
    """Starts background work and restarts it after exceptions. There is one per process.

    `failures` counts the exceptions by task. A task is counted from its start, as 0, so that the metric exists before
    the first failure. `tracing` starts the spans of the work; telemetry sets it.
    """

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.failures: Counter[str] = Counter()
        self.tracing: Tracing = NoTracing()
        self._backoff = backoff or Backoff()

    def keep(
        self, name: TaskName, run: Callable[[], Awaitable[None]], stopping: asyncio.Event | None = None
    ) -> asyncio.Task[None]:
        """Start a task that calls `run` until it returns.

        The owner stops it by cancelling it, or, if `run` has work to finish, by setting `stopping` and awaiting the
        task: that ends a back-off delay at once, calls `run` one last time, and lets a further failure end the task.
        """
        self.failures[name] += 0
        return asyncio.create_task(self._keep(name, run, stopping or asyncio.Event()), name=name)

    def keep_thread(self, name: TaskName, run: Callable[[], None], stopping: threading.Event) -> threading.Thread:
        """Do the same in a daemon thread, which `stopping` ends."""
        thread = threading.Thread(target=self.keep_here, args=(name, run, stopping), name=name, daemon=True)
        thread.start()
        return thread

    def keep_here(self, name: TaskName, run: Callable[[], None], stopping: threading.Event) -> None:
        """Do the same in the calling thread."""
        self.failures[name] += 0
        delays = _Delays(self._backoff)
        while True:
            is_last, began = stopping.is_set(), time.monotonic()
            try:
                return run()
            except Exception as error:  # noqa: BLE001 - the work is restarted after any exception
                self.report(name, error)
            if is_last:
                return None
            stopping.wait(delays.next_after(time.monotonic() - began))

    def watch(self, name: TaskName, task: asyncio.Task[Any]) -> None:
        """Report the exception of a one-shot task that no caller awaits, unless it has `temporary = False`: that is a
        result for a caller, no failure.
        """
        self.failures[name] += 0
        task.add_done_callback(partial(self._on_done, name))

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Report exceptions of callbacks, and of tasks that were never awaited."""
        self.failures["event_loop"] += 0
        loop.set_exception_handler(self._on_unhandled)

    def report(self, name: TaskName, error: BaseException, **details: object) -> None:
        """Log and count an exception after which the work continues."""
        self.failures[name] += 1
        _log.error("background task failed", task=name, exc_info=error, **details)

    async def _keep(self, name: TaskName, run: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
        delays = _Delays(self._backoff)
        while True:
            is_last, began = stopping.is_set(), time.monotonic()
            try:
                return await run()
            except asyncio.CancelledError as error:  # of this task, or of one that `run` awaits
                if _is_cancelled():
                    raise
                self.report(name, error)
            except Exception as error:  # noqa: BLE001 - the work is restarted after any exception
                self.report(name, error)
            if is_last or _is_cancelled():
                return None
            await _wait(stopping, delays.next_after(time.monotonic() - began))

    def _on_done(self, name: TaskName, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and getattr(error, "temporary", None) is not False:
            self.report(name, error)

    def _on_unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        else:
            self.report("event_loop", error, message=context.get("message"))


class _Delays:
    """The back-off delays of one task: each twice the last one, with jitter."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._seconds = backoff.first

    def next_after(self, ran: float) -> float:
        """Return the delay in seconds after a run of `ran` seconds that failed."""
        if ran >= self._backoff.steady:
            self._seconds = self._backoff.first
        seconds, self._seconds = self._seconds, min(self._seconds * 2, self._backoff.last)
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, so that processes do not retry in step


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or until `stopping` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
