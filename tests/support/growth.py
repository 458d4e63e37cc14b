"""Whether a function's CPU time grows in proportion to its input: measured by doubling, never against a speed."""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SIZES = (2_048, 8_192, 32_768)
"""Characters or octets of the inputs that are tried until one is slow: what is quadratic is slow by the last one."""
SLOW_SECONDS = 0.004
"""CPU time from which a measurement says more about the function than about the clock and the caches."""
MOST_GROWTH = 8.0
"""From an input to one four times as large: linear time grows four-fold, quadratic time sixteen-fold. The bound lies
between them because caches and allocators make large inputs dearer."""
RUNS = 3


def cpu_seconds(call: Callable[[], Any], runs: int = RUNS) -> float:
    """The least CPU time of this thread that a call took in some runs: other processes can only make it longer."""
    return min(_cpu_seconds_once(call) for _ in range(runs))


def _cpu_seconds_once(call: Callable[[], Any]) -> float:
    gc.disable()  # a collection would be charged to the function
    try:
        began = time.thread_time()
        call()
        return time.thread_time() - began
    finally:
        gc.enable()


def super_linear(function: Callable[[Any], Any], shape: Callable[[int], Any]) -> str | None:
    """What was measured, where the time grows faster than the input; None where it does not.

    `shape` makes an input of about so many characters or octets.
    """
    for size in SIZES:
        if cpu_seconds(partial(function, shape(size)), 1) > SLOW_SECONDS:
            break
    else:
        return None
    sizes = (size, 2 * size, 4 * size)
    measured = [cpu_seconds(partial(function, shape(size))) for size in sizes]
    if measured[-1] < MOST_GROWTH * measured[0]:
        return None
    return ", ".join(f"{seconds * 1000:.1f} ms for {size:,}" for size, seconds in zip(sizes, measured, strict=True))
