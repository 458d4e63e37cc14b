"""Pages of results (PARTIAL, RFC 9394 §3.1), and batches of messages. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

HEADERS_BATCH_OCTETS = 16 * 1024 * 1024
"""Of messages whose headers are read together: a hostile one may be nothing but header."""

T = TypeVar("T")


def page(found: Sequence[T], partial: tuple[int, int]) -> Sequence[T]:
    """The elements from first to last, in either order; negative numbers count from the end."""
    first, last = sorted(map(abs, partial))
    if partial[0] > 0:
        return found[first - 1 : last]
    count = len(found)
    return found[max(0, count - last) : max(0, count - first + 1)]


def batches(items: Iterable[T], size: Callable[[T], int], max_count: int, max_octets: int) -> Iterator[Sequence[T]]:
    """Batches of at most `max_count` items and `max_octets` octets; a single larger item is a batch by itself."""
    batch, octets = list[T](), 0
    for item in items:
        if batch and (len(batch) == max_count or octets + size(item) > max_octets):
            yield batch
            batch, octets = [], 0
        batch.append(item)
        octets += size(item)
    if batch:
        yield batch
