"""A page of what was found (PARTIAL, RFC 9394 §3.1), and messages that are read together. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

HEADERS_BATCH_OCTETS = 16 * 1024 * 1024
"""Of messages whose headers are read together: a stranger's may be nothing but header."""

T = TypeVar("T")


def page(found: Sequence[T], partial: tuple[int, int]) -> Sequence[T]:
    """The places from first to last, either first; negative ones count from the end."""
    first, last = sorted(map(abs, partial))
    if partial[0] > 0:
        return found[first - 1 : last]
    count = len(found)
    return found[max(0, count - last) : max(0, count - first + 1)]


def batches(items: Iterable[T], size: Callable[[T], int], most: int, limit: int) -> Iterator[Sequence[T]]:
    """At most so many at a time, and not larger together than `limit`, unless one alone is."""
    portion, octets = list[T](), 0
    for item in items:
        if portion and (len(portion) == most or octets + size(item) > limit):
            yield portion
            portion, octets = [], 0
        portion.append(item)
        octets += size(item)
    if portion:
        yield portion
