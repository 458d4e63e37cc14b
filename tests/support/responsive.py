"""A service's event loop is not held: callbacks over REPORTED_SECONDS of CPU are told, and one over HELD_SECONDS fails.

In a process of its own the product says so in its log, in this process the watchdog says so itself. CPU time it is, so
that a loaded machine fails no test.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from relate_service.watchdog import SlowCallback, run_watchdog
from relate_supervisor import Supervisor

REPORTED_SECONDS = 0.05
HELD_SECONDS = 0.5
WATCHED = {"Debug__SlowCallbackMilliseconds": str(round(REPORTED_SECONDS * 1000))}  # a product's setting

OURS = "/relate_"  # in a path of a stack: what a test itself does in the loop is not looked at


@contextmanager
def responsive() -> Iterator[None]:
    """What runs inside, in this loop, does not hold it."""
    found: list[SlowCallback] = []
    with run_watchdog(REPORTED_SECONDS, Supervisor(), found.append):
        yield
    check_responsive(slow for slow in found if OURS in slow.stack)


def check_responsive(found: Iterable[SlowCallback]) -> None:
    """Print what was found, for whoever looks into a failure, and fail where it held the loop."""
    slow = list(found)
    for each in slow:
        print(f"{each.seconds * 1000:.0f} ms of CPU in {each.task or 'a callback'}:\n{each.stack}")
    held = [each for each in slow if each.seconds >= HELD_SECONDS]
    assert not held, f"the event loop was held: {held}"


def slow_callbacks(log: str) -> list[SlowCallback]:
    """Those that a product logged."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{") and '"slow callback"' in line)
    return [SlowCallback(line["milliseconds"] / 1000, line["slow_task"], line["stack"]) for line in lines]
