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
MIN_ROUNDS = 3
MAX_ROUNDS = 12
"""Rounds until a growth counts as real: another process can slow every run of one size for a while, but not the minimum
over many rounds. The rounds alternate the sizes, so that a slow period of the machine meets all of them."""


def cpu_seconds(call: Callable[[], Any]) -> float:
    """The CPU time of a call in this thread."""
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
        if cpu_seconds(partial(function, shape(size))) > SLOW_SECONDS:
            break
    else:
        return None
    sizes = (size, 2 * size, 4 * size)
    inputs = list(map(shape, sizes))
    rounds: list[list[float]] = []
    while len(rounds) < MAX_ROUNDS:
        rounds.append([cpu_seconds(partial(function, value)) for value in inputs])
        seconds = [min(runs) for runs in zip(*rounds, strict=True)]
        if len(rounds) >= MIN_ROUNDS and seconds[-1] < MAX_GROWTH_RATIO * seconds[0]:
            return None
    return ", ".join(f"{run * 1000:.1f} ms for {count:,}" for run, count in zip(seconds, sizes, strict=True))
