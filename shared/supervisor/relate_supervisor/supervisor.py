"""The supervisor of a process's background work: an exception is logged with its trace and counted, and the work starts
again after an exponential back-off with jitter.

asyncio.TaskGroup does not do this: it cancels the other tasks when one fails.
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

# The values of the metric's label `task`. docs/observability.md says what each of them is.
TaskName = Literal[
    "accounts.last_used",
    "accounts.revocation",
    "api.server",
    "event_loop",
    "mailstore.change",
    "mailstore.flag_writer",
    "mailstore.notices",
    "mailstore.prefetch",
    "mailstore.side_connection",
    "mailstore.upkeep",
    "mailstore.writer",
    "service.certificates",
    "service.housekeeping",
    "service.watchdog",
    "service.workers",
    "telemetry.metrics",
    "telemetry.spans",
    "wire.accept",
    "wire.deadlines",
    "wire.pushes",
]

FIRST_SECONDS = 0.1  # most failures pass: a database that restarts, a file limit
LAST_SECONDS = 30.0  # a task that always fails costs one trace in the log each half minute
STEADY_SECONDS = 60.0  # after a run of this length the back-off starts again at FIRST_SECONDS

_log = structlog.get_logger(__name__)


class Backoff(NamedTuple):
    """Seconds: the first pause, the longest one, and the length of a run that counts as recovered."""

    first: float = FIRST_SECONDS
    last: float = LAST_SECONDS
    steady: float = STEADY_SECONDS


class Supervisor:
    """Starts background work and keeps it running. One for each process, handed to whatever starts such work.

    `failures` counts the exceptions by task. A task that was started has its 0 there, so that a rate over it exists
    before the first failure.
    """

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.failures: Counter[str] = Counter()
        self._backoff = backoff or Backoff()

    def keep(
        self, name: TaskName, run: Callable[[], Awaitable[None]], stopping: asyncio.Event | None = None
    ) -> asyncio.Task[None]:
        """Start a task that calls `run` until it returns.

        The owner ends it by cancelling it. An owner whose `run` has something to finish sets `stopping` instead and
        awaits the task: a pause ends at once, `run` is called one last time, and a further failure ends the task.
        """
        self.failures[name] += 0
        return asyncio.create_task(self._keep(name, run, stopping or asyncio.Event()), name=name)

    def keep_thread(self, name: TaskName, run: Callable[[], None], stopping: threading.Event) -> threading.Thread:
        """The same in a daemon thread, which is ended by `stopping`."""
        thread = threading.Thread(target=self.keep_here, args=(name, run, stopping), name=name, daemon=True)
        thread.start()
        return thread

    def keep_here(self, name: TaskName, run: Callable[[], None], stopping: threading.Event) -> None:
        """The same in the calling thread."""
        self.failures[name] += 0
        pauses = _Pauses(self._backoff)
        while True:
            is_last, began = stopping.is_set(), time.monotonic()
            try:
                return run()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
                self.report(name, error)
            if is_last:
                return None
            stopping.wait(pauses.next_after(time.monotonic() - began))

    def watch(self, name: TaskName, task: asyncio.Task[Any]) -> None:
        """Report the failure of a one-shot task that no caller awaits; not an error with `temporary = False`, which
        would have been an answer to the caller.
        """
        self.failures[name] += 0
        task.add_done_callback(partial(self._on_done, name))

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Report exceptions of callbacks and of tasks that were never awaited."""
        self.failures["event_loop"] += 0
        loop.set_exception_handler(self._on_unhandled)

    def report(self, name: TaskName, error: BaseException, **details: object) -> None:
        """Log and count a failure that the work itself survives."""
        self.failures[name] += 1
        _log.error("background task failed", task=name, exc_info=error, **details)

    async def _keep(self, name: TaskName, run: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
        pauses = _Pauses(self._backoff)
        while True:
            is_last, began = stopping.is_set(), time.monotonic()
            try:
                return await run()
            except asyncio.CancelledError as error:  # of this task, or of something that `run` awaits
                if _is_cancelled():
                    raise
                self.report(name, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the task goes on
                self.report(name, error)
            if is_last or _is_cancelled():
                return None
            await _wait(stopping, pauses.next_after(time.monotonic() - began))

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


class _Pauses:
    """The pauses of one task: each twice the last one, and a random part of it."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._seconds = backoff.first

    def next_after(self, ran: float) -> float:
        """Seconds to wait after a run of `ran` seconds that failed."""
        if ran >= self._backoff.steady:
            self._seconds = self._backoff.first
        seconds, self._seconds = self._seconds, min(self._seconds * 2, self._backoff.last)
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - lest the processes of a machine come back together


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until `stopping` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
