"""PARTIAL (RFC 9394 §3.1): a page of what was found. Pure."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def page(found: Sequence[T], partial: tuple[int, int]) -> Sequence[T]:
    """The places from first to last, either first; negative ones count from the end."""
    first, last = sorted(map(abs, partial))
    if partial[0] > 0:
        return found[first - 1 : last]
    count = len(found)
    return found[max(0, count - last) : max(0, count - first + 1)]
