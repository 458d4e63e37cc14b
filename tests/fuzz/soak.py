"""Soak tests with mutated inputs: no exceptions, and no CPU time that grows faster than the input."""

import heapq
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.mutate import mutated
from tests.support.growth import super_linear
from tests.support.untrusted import UNTRUSTED, Untrusted

SEEDS = Path(__file__).parent / "seeds"
"""One directory per function, with inputs that failed before: every run tries them first and mutates them."""
SUSPECTS = 5
"""The number of inputs, slowest per octet, whose growth is measured after a run."""
SUSPECT_OCTETS = 64
"""Shorter inputs are too fast to measure their growth."""


class Failure(NamedTuple):
    """An input that failed, and why."""

    target: str
    octets: bytes
    reason: str


def soak(target: str, count: int, seed: int) -> list[Failure]:
    """Try `count` inputs on one function of UNTRUSTED; returns the failures, at most one per exception."""
    untrusted = UNTRUSTED[target]
    saved = saved_seeds(target)
    inputs = mutated((*untrusted.seeds, *saved), _tokens(untrusted), Random(f"{target} {seed}"))
    failures: dict[str, Failure] = {}
    suspects: list[tuple[float, bytes]] = []
    for octets in (*saved, *islice(inputs, count)):
        start_seconds = time.thread_time()
        if reason := _raised(untrusted.function, octets):
            failures.setdefault(reason, Failure(target, octets, reason))
        cost = (time.thread_time() - start_seconds) / max(len(octets), SUSPECT_OCTETS)
        heapq.heappush(suspects, (cost, octets))
        if len(suspects) > SUSPECTS:
            heapq.heappop(suspects)
    return [*failures.values(), *_growing(target, untrusted.function, (octets for _, octets in suspects))]


def saved_seeds(target: str) -> tuple[bytes, ...]:
    """The inputs that failed before."""
    return tuple(path.read_bytes() for path in sorted((SEEDS / target.replace(" ", "-")).glob("*")))


def _tokens(untrusted: Untrusted) -> list[bytes]:
    return sorted({token for unit in untrusted.units for token in unit if token})


def _raised(function: Callable[[bytes], Any], octets: bytes) -> str:
    try:
        function(octets)
    except Exception as error:  # noqa: BLE001 - any exception is a failure
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def _growing(target: str, function: Callable[[bytes], Any], suspects: Iterable[bytes]) -> list[Failure]:
    """The suspects whose cost grows faster than linearly when they are repeated."""
    return [
        Failure(target, octets, growth)
        for octets in suspects
        if octets and not _raised(function, octets * 4) and (growth := super_linear(function, _repeated(octets)))
    ]


def _repeated(octets: bytes) -> Callable[[int], bytes]:
    return lambda size: octets * (1 + size // len(octets))
