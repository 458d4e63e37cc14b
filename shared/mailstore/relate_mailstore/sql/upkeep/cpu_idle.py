"""Measures whether a CPU is idle, between two samples during which the caller itself does nothing.

The process's own CPU time shows whether its sessions are busy; the machine's idle CPUs show whether anything else is:
another process, another container, the database. A sample costs two small reads, and serving mail costs nothing more.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MAX_OWN_CPU_RATIO = 0.1  # of one CPU: above that, sessions of this process would wait for the interpreter
MIN_IDLE_CPUS = 0.8  # work on an idle CPU delays no other process

_STAT = Path("/proc/stat")  # of the whole machine, even in a container
_IDLE_FIELD = 4  # idle, not waiting for the disk


class CpuSample(NamedTuple):
    """A sample in seconds, of which only differences have a meaning."""

    clock: float
    own: float  # CPU time of this process
    idle: float | None  # idle time of all CPUs together; None where the system does not report it

    @classmethod
    def now(cls) -> "CpuSample":
        """Take a sample."""
        return cls(time.monotonic(), time.process_time(), _idle_seconds())

    def is_idle_until(self, later: "CpuSample") -> bool:
        """Whether between the samples this process was nearly idle and at least MIN_IDLE_CPUS were too."""
        seconds = later.clock - self.clock
        if later.own - self.own > MAX_OWN_CPU_RATIO * seconds:
            return False
        return self.idle is None or later.idle is None or later.idle - self.idle >= MIN_IDLE_CPUS * seconds


def _idle_seconds() -> float | None:
    with suppress(OSError, IndexError, ValueError), _STAT.open() as stat:
        return int(stat.readline().split()[_IDLE_FIELD]) / os.sysconf("SC_CLK_TCK")
    return None
