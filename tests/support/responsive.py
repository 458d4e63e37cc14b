"""Checks that no callback blocks the event loop: over REPORTED_SECONDS it is printed, over BLOCKED_SECONDS a failure.

The watchdog reports it: of the product's process in its log, of this process directly. It measures CPU time, so that
tests do not fail on a busy machine.
"""

import gc
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from relate_service.watchdog import SlowCallback, run_watchdog
from relate_supervisor import Supervisor

REPORTED_SECONDS = 0.05
BLOCKED_SECONDS = 0.75  # twice what the worst request takes, because CPU time grows on a shared machine
WATCHDOG_SETTINGS = {"Debug__SlowCallbackMilliseconds": str(round(REPORTED_SECONDS * 1000))}

PRODUCT_PATH = "/relate_"  # in the stack of a product's callback, not in that of a test's


@contextmanager
def responsive() -> Iterator[None]:
    """Fail if the product blocks the running loop within the block."""
    found: list[SlowCallback] = []
    # A collection within the block must not traverse what thousands of tests before have left in this process.
    gc.collect()
    gc.freeze()
    try:
        with run_watchdog(REPORTED_SECONDS, Supervisor(), found.append):
            yield
    finally:
        gc.unfreeze()
    check_responsive(slow for slow in found if PRODUCT_PATH in slow.stack)


def check_responsive(found: Iterable[SlowCallback]) -> None:
    """Print slow callbacks, and fail for those that blocked the loop."""
    slow = list(found)
    for each in slow:
        print(f"{each.seconds * 1000:.0f} ms of CPU in {each.task or 'a callback'}:\n{each.stack}")
    blocked = [each for each in slow if each.seconds >= BLOCKED_SECONDS]
    assert not blocked, f"the event loop was blocked: {blocked}"


def slow_callbacks(log: str) -> list[SlowCallback]:
    """Parse the slow callbacks in a product's log."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{") and '"slow callback"' in line)
    return [SlowCallback(line["milliseconds"] / 1000, line["slow_task"], line["stack"]) for line in lines]
