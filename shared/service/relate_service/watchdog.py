"""Finds callbacks that hold the event loop: `Debug__SlowCallbackMilliseconds`. For developers and tests.

uvloop has no hooks around its callbacks, so a thread samples the loop's thread: its CPU clock and its stack. CPU time,
because other processes of a busy machine make every callback slow by the wall clock. A heartbeat runs in the loop, once
an iteration while the loop is busy, and by a timer else: two samples without a heartbeat between them and with the same
outermost frame are of the same callback, as a task makes at most one step an iteration. A C function that holds the
interpreter keeps the thread from sampling; its CPU time counts for the callback that is found when it returns.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, ClassVar, NamedTuple

import structlog
from pydantic import Field

from relate_config import Section
from relate_supervisor import Supervisor

SAMPLE_SECONDS = 0.005
BUSY_SECONDS = 0.0005  # of CPU between two heartbeats: a loop that used less waits for events, and is left to
LASTING_SECONDS = 1.0  # of CPU: a callback that goes on is reported again and again
STACK_FRAMES = 20  # the innermost ones

log = structlog.get_logger(__name__)


class DebugSettings(Section):
    """What the environment says about help for developers."""

    prefix: ClassVar[str] = "Debug"

    slow_callback_milliseconds: int = Field(default=0, ge=0)
    """CPU time from which on a callback of the event loop is reported; 0 reports none."""


class SlowCallback(NamedTuple):
    """A callback that held the loop: seconds of CPU time, the task whose step it was, and where it was seen."""

    seconds: float
    task: str
    stack: str


def log_slow_callback(slow: SlowCallback) -> None:
    """Write a warning."""
    log.warning("slow callback", milliseconds=round(slow.seconds * 1000), slow_task=slow.task, stack=slow.stack)


@contextmanager
def run_watchdog(
    limit_seconds: float, supervisor: Supervisor, report: Callable[[SlowCallback], None] = log_slow_callback
) -> Iterator[None]:
    """Callbacks of the running loop, called in its thread, that take longer are reported inside. 0 watches nothing.

    `report` is called in a thread of its own. Raises NotImplementedError on a system without CPU clocks of threads.
    """
    if not limit_seconds:
        yield
        return
    stopping = threading.Event()
    watchdog = _Watchdog(limit_seconds, report)
    thread = supervisor.keep_thread("service.watchdog", lambda: watchdog.run(stopping), stopping)
    try:
        yield
    finally:
        watchdog.stop()
        stopping.set()
        thread.join()


class _Watchdog:
    def __init__(self, limit: float, report: Callable[[SlowCallback], None]) -> None:
        if not hasattr(time, "pthread_getcpuclockid"):
            raise NotImplementedError("Debug__SlowCallbackMilliseconds needs CPU clocks of threads: Linux has them")
        self._limit = limit
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread_id)
        self._caller: CodeType | None = None  # what calls the loop's callbacks, if that is Python
        self._beats = 0
        self._beat_at = 0.0  # by the CPU clock, the last one
        self._next: asyncio.Handle = self._loop.call_soon(self._beat)

    def run(self, stopping: threading.Event) -> None:
        """Sample until told to stop."""
        beats, last = self._beats, self._now()
        running = _Callback(None, last)
        while not stopping.wait(SAMPLE_SECONDS):
            now, frame = self._now(), self._outermost()
            if self._beats != beats or frame is not running.frame:
                self._settle(running)
                beats, running = self._beats, _Callback(frame, max(last, self._beat_at))
            running.seconds = now - running.began
            if running.seconds >= self._limit:
                self._look_at(running)
            last = now
        self._settle(running)

    def stop(self) -> None:
        """Schedule no further heartbeat. Called in the loop's thread."""
        self._next.cancel()

    def _beat(self) -> None:
        """The heartbeat: called by the loop, between two callbacks."""
        self._caller = sys._getframe(1).f_code
        now = self._now()
        is_busy = now - self._beat_at > BUSY_SECONDS
        # By a timer of the loop, because the thread may not run for long on a busy machine.
        self._next = self._loop.call_soon(self._beat) if is_busy else self._loop.call_later(SAMPLE_SECONDS, self._beat)
        self._beat_at = now
        self._beats += 1

    def _now(self) -> float:
        return time.clock_gettime(self._clock)

    def _outermost(self) -> FrameType | None:
        """The first frame of the callback that runs now; None where there is none, or it is not known yet."""
        frame, outermost = sys._current_frames().get(self._thread_id), None
        while frame is not None:
            if frame.f_back is not None and frame.f_back.f_code is self._caller:
                outermost = frame
            frame = frame.f_back
        return outermost

    def _look_at(self, running: "_Callback") -> None:
        """Note where a slow callback is, while it is there."""
        task = asyncio.current_task(self._loop)
        running.task = _describe(task) if task else running.task
        running.stack = _stack(sys._current_frames().get(self._thread_id), self._caller) or running.stack
        if running.seconds - running.reported >= LASTING_SECONDS:
            running.reported = running.seconds
            self._report(SlowCallback(running.seconds, running.task, running.stack))

    def _settle(self, running: "_Callback") -> None:
        """A callback has ended."""
        if running.stack and running.seconds > running.reported:
            self._report(SlowCallback(running.seconds, running.task, running.stack))


class _Callback:
    """What is known of the callback that runs; times are the CPU clock's."""

    def __init__(self, frame: FrameType | None, began: float) -> None:
        self.frame = frame  # held, so that no other one gets its identity
        self.began = began
        self.seconds = 0.0
        self.reported = 0.0
        self.task = ""
        self.stack = ""


def _describe(task: asyncio.Task[Any]) -> str:
    return f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '')})"


def _stack(frame: FrameType | None, caller: CodeType | None) -> str:
    frames = []
    while frame is not None and frame.f_code is not caller:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return "".join(traceback.StackSummary.extract(reversed(frames[:STACK_FRAMES])).format())
