"""Detects callbacks that block the event loop: `Debug__SlowCallbackMilliseconds`. For developers and tests.

uvloop has no hooks around callbacks, so a thread samples the CPU clock and the stack of the loop's thread. CPU time,
because other processes of a busy machine make every callback slow by the wall clock. A heartbeat runs in the loop, once
per iteration while the loop is busy, otherwise by a timer. Two samples without a heartbeat between them and with the
same outermost frame belong to the same callback, because a task makes at most one step per iteration. A C function that
holds the GIL prevents sampling; its CPU time counts for the callback that is on the stack when it returns.
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
BUSY_SECONDS = 0.0005  # of CPU between two heartbeats; a loop that used less is idle
LASTING_SECONDS = 1.0  # of CPU: a running callback is reported each time it has used this much
MAX_STACK_FRAMES = 20  # the innermost ones

log = structlog.get_logger(__name__)


class DebugSettings(Section):
    """Settings for developers."""

    prefix: ClassVar[str] = "Debug"

    slow_callback_milliseconds: int = Field(default=0, ge=0)
    """Callbacks of the event loop that use this much CPU time are reported; 0 disables it."""


class SlowCallback(NamedTuple):
    """A callback that blocked the loop: its CPU time in seconds, its task, and a stack sampled while it ran."""

    seconds: float
    task: str
    stack: str


def log_slow_callback(slow: SlowCallback) -> None:
    """Log a warning."""
    log.warning("slow callback", milliseconds=round(slow.seconds * 1000), slow_task=slow.task, stack=slow.stack)


@contextmanager
def run_watchdog(
    limit_seconds: float, supervisor: Supervisor, report: Callable[[SlowCallback], None] = log_slow_callback
) -> Iterator[None]:
    """Report callbacks of the running loop that exceed the limit, until the block ends. 0 disables it.

    Enter it in the loop's thread; `report` is called in another one. Raises NotImplementedError on a system without CPU
    clocks of threads.
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
        """Sample until `stopping` is set."""
        beats, last = self._beats, self._now()
        running = _Callback(None, last)
        while not stopping.wait(SAMPLE_SECONDS):
            now, frame = self._now(), self._outermost()
            if self._beats != beats or frame is not running.frame:
                self._finish(running)
                beats, running = self._beats, _Callback(frame, max(last, self._beat_at))
            running.seconds = now - running.began
            if running.seconds >= self._limit:
                self._sample_stack(running)
            last = now
        self._finish(running)

    def stop(self) -> None:
        """Schedule no further heartbeat. Called in the loop's thread."""
        self._next.cancel()

    def _beat(self) -> None:
        """The heartbeat: called by the loop, between two callbacks."""
        self._caller = sys._getframe(1).f_code
        now = self._now()
        is_busy = now - self._beat_at > BUSY_SECONDS
        # A timer of the loop, because on a busy machine the thread may not run for long.
        self._next = self._loop.call_soon(self._beat) if is_busy else self._loop.call_later(SAMPLE_SECONDS, self._beat)
        self._beat_at = now
        self._beats += 1

    def _now(self) -> float:
        return time.clock_gettime(self._clock)

    def _outermost(self) -> FrameType | None:
        """Return the first frame of the running callback, None if there is none or before the first heartbeat."""
        frame, outermost = sys._current_frames().get(self._thread_id), None
        while frame is not None:
            if frame.f_back is not None and frame.f_back.f_code is self._caller:
                outermost = frame
            frame = frame.f_back
        return outermost

    def _sample_stack(self, running: "_Callback") -> None:
        """Record the stack of a slow callback while it runs."""
        task = asyncio.current_task(self._loop)
        running.task = _describe(task) if task else running.task
        running.stack = _stack(sys._current_frames().get(self._thread_id), self._caller) or running.stack
        if running.seconds - running.reported >= LASTING_SECONDS:
            running.reported = running.seconds
            self._report(SlowCallback(running.seconds, running.task, running.stack))

    def _finish(self, running: "_Callback") -> None:
        """Report a slow callback that has ended."""
        if running.stack and running.seconds > running.reported:
            self._report(SlowCallback(running.seconds, running.task, running.stack))


class _Callback:
    """The samples of the running callback; times are of the CPU clock."""

    def __init__(self, frame: FrameType | None, began: float) -> None:
        self.frame = frame  # referenced, so that no new frame can reuse its identity
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
    return "".join(traceback.StackSummary.extract(reversed(frames[:MAX_STACK_FRAMES])).format())
