"""How busy this process and its machine are, measured over a while in which the measurer itself does nothing.

A process's own CPU says whether its sessions are at work; the machine's idle CPUs say whether anybody else is, be it
another process, another container or the database. Both cost two small reads, and no bookkeeping where mail is served.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

OWN_SHARE = 0.1  # of one CPU: a process that uses more has sessions that would wait for the interpreter
SPARE_CPUS = 0.8  # that stood idle: what is done there takes nothing from anybody

_STAT = Path("/proc/stat")  # the whole machine's, in a container, too
_IDLE = 4  # its fourth number: idle, and not waiting for the disk


class Activity(NamedTuple):
    """At one moment, in seconds that only their differences mean: the clock, this process's CPU, idle CPUs."""

    clock: float
    own: float
    idle: float | None
    """Of all CPUs together; None on a system that does not tell."""

    @classmethod
    def now(cls) -> "Activity":
        """At this moment."""
        return cls(time.monotonic(), time.process_time(), _idle_seconds())

    def is_quiet_until(self, later: "Activity") -> bool:
        """Whether there was room for more between two moments: a CPU to spare, and nothing to disturb in here."""
        seconds = later.clock - self.clock
        if later.own - self.own > OWN_SHARE * seconds:
            return False
        return self.idle is None or later.idle is None or later.idle - self.idle >= SPARE_CPUS * seconds


def _idle_seconds() -> float | None:
    with suppress(OSError, IndexError, ValueError), _STAT.open() as stat:
        return int(stat.readline().split()[_IDLE]) / os.sysconf("SC_CLK_TCK")
    return None
