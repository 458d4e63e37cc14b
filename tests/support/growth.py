"""Whether a function takes CPU time linear in its input: measured by doubling the input, not against absolute speed."""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SIZES = (2_048, 8_192, 32_768)
"""Characters or octets of the inputs to try until one is slow. A quadratic function is slow by the last one."""
SLOW_SECONDS = 0.004
"""CPU time above which clock and caches no longer dominate the measurement."""
MAX_GROWTH_RATIO = 8.0
"""For an input four times as large: linear time grows fourfold, quadratic time sixteenfold. The limit lies between,
because caches and allocators slow large inputs down."""
RUNS = 3


def cpu_seconds(call: Callable[[], Any], runs: int = RUNS) -> float:
    """The minimum CPU time of a call in this thread over some runs, because other processes can only slow it down."""
    return min(_cpu_seconds_once(call) for _ in range(runs))


def _cpu_seconds_once(call: Callable[[], Any]) -> float:
    gc.disable()  # a collection would be attributed to the function
    try:
        start_seconds = time.thread_time()
        call()
        return time.thread_time() - start_seconds
    finally:
        gc.enable()


def super_linear(function: Callable[[Any], Any], shape: Callable[[int], Any]) -> str | None:
    """The measurements, if the time grows faster than the input; else None.

    `shape` makes an input of about a given number of characters or octets.
    """
    for size in SIZES:
        if cpu_seconds(partial(function, shape(size)), 1) > SLOW_SECONDS:
            break
    else:
        return None
    sizes = (size, 2 * size, 4 * size)
    measured = [cpu_seconds(partial(function, shape(size))) for size in sizes]
    if measured[-1] < MAX_GROWTH_RATIO * measured[0]:
        return None
    return ", ".join(f"{seconds * 1000:.1f} ms for {size:,}" for size, seconds in zip(sizes, measured, strict=True))
