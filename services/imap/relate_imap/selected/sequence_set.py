"""Sequence sets of message numbers or UIDs: parsing, resolving, encoding (RFC 9051 §9 sequence-set)."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar, cast

MAX_NUMBER = 0xFFFF_FFFF

STAR = MAX_NUMBER + 1
"""Stands for "*": above every number, so that a set is resolved by clipping it at the largest number."""

_STAR = b"%d" % STAR
_NUMBER = rb"(?:\*|[1-9][0-9]{0,9})"
_ELEMENT = rb"%b(?::%b)?" % (_NUMBER, _NUMBER)
# Possessive, so that a set with an error at its end is not scanned again from each element.
_SET = re.compile(rb"%b(?:,%b)*+" % (_ELEMENT, _ELEMENT))


Number = TypeVar("Number", bound=int)
"""A message number, or a UID."""

Range = tuple[int, int]
"""Both ends included."""


class SequenceSet(NamedTuple):
    """Ranges with both ends included, ascending, neither overlapping nor adjacent. `saved` is "$" (RFC 5182)."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False

    def includes(self, number: int) -> bool:
        """Whether a number or UID is in the set as written; "*" is only STAR."""
        index = bisect_right(self.ranges, (number, STAR)) - 1
        return index >= 0 and number <= self.ranges[index][1]

    def __contains__(self, number: object) -> bool:
        """See `includes`; mypy rejects a UID before `in`, because no field of this tuple is one."""
        return isinstance(number, int) and self.includes(number)


PIECE_NUMBERS = 4_096  # of a list are encoded at a time, so that not all are in memory as Python integers

_LAST_DIGITS = tuple(f"{number:03}" for number in range(1000))

SAVED = SequenceSet((), saved=True)
EMPTY = SequenceSet(())


def parse_set(octets: bytes) -> SequenceSet | None:
    """Parse a set; None if it is malformed."""
    if octets == b"$":
        return SAVED
    octets = octets.removesuffix(b",")  # Dovecot accepts a trailing comma
    if not _SET.fullmatch(octets) or _STAR in octets:
        return None
    elements = [element.partition(b":") for element in dict.fromkeys(octets.replace(b"*", _STAR).split(b","))]
    numbers = make_set((int(first), int(last or first)) for first, _, last in elements)
    return numbers if numbers.ranges[-1][1] <= STAR else None


def make_set(ranges: Iterable[tuple[int, int]]) -> SequenceSet:
    """A set of ranges in any order, either end first."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((one, other) if one <= other else (other, one) for one, other in ranges):
        if not merged or first > merged[-1][1] + 1:
            merged.append((first, last))
        elif last > merged[-1][1]:
            merged[-1] = merged[-1][0], last
    return SequenceSet(tuple(merged))


def resolve(numbers: SequenceSet, largest: Number) -> Iterator[tuple[Number, Number]]:
    """The ranges with "*" replaced by the largest number or UID, and clipped at it; none if it is 0.

    "*" alone, and a range from beyond the largest number to "*", mean the largest (RFC 9051 §9: "3291:*").
    """
    if largest == 0:
        return
    ranges = cast("tuple[tuple[Number, Number], ...]", numbers.ranges)
    for first, last in ranges:
        if first <= largest:
            yield first, min(last, largest)
        elif last == STAR and not numbers.includes(largest):  # "7,*" is one message if 7 is the largest
            yield largest, largest


def encode_set(numbers: Iterable[int]) -> str:
    """Encode numbers, consecutive ones as a range: `1:3,7`; empty for none."""
    return encode_ranges(ranges_of(numbers))


def encode_list(numbers: Sequence[int]) -> str:
    """Encode numbers one by one, each after a space: ` 3 5 4`."""
    if isinstance(numbers, range) and numbers.step == 1:
        return "".join(_encode_run(numbers.start, numbers.stop))
    pieces = (numbers[start : start + PIECE_NUMBERS] for start in range(0, len(numbers), PIECE_NUMBERS))
    return "".join(" %d" * len(piece) % tuple(piece) for piece in pieces)


def _encode_run(first: int, stop: int) -> Iterator[str]:
    """Numbers that share all digits but the last three differ in these only: a fifth of the time of encoding each."""
    for thousand in range(first // 1000, (stop - 1) // 1000 + 1):
        start, end = max(first, 1000 * thousand), min(stop, 1000 * (thousand + 1))
        if thousand:
            prefix = f" {thousand}"
            yield prefix.join(("", *_LAST_DIGITS[start - 1000 * thousand : end - 1000 * thousand]))
        else:
            yield "".join(f" {number}" for number in range(start, end))


def encode_ranges(ranges: Iterable[Range]) -> str:
    """Encode ranges as a sequence set."""
    return ",".join(f"{first}:{last}" if last > first else str(first) for first, last in ranges)


def ranges_of(numbers: Iterable[int]) -> Iterator[Range]:
    """Ascending numbers as ranges with both ends included."""
    if isinstance(numbers, range) and numbers.step == 1 and numbers:
        yield numbers[0], numbers[-1]
        return
    iterator = iter(numbers)
    first = last = next(iterator, None)
    if first is None or last is None:
        return
    for number in iterator:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
