"""Which known name a misspelt one is near to.

Near means few edits: a character inserted, removed or replaced, or two neighbours swapped (optimal string alignment).
Names are compared without regard to case.
"""

from collections.abc import Iterable

_LONG_NAME_CHARACTERS = 8  # from which on two edits are near, and not only one
_MAX_NAME_CHARACTERS = 64  # longer names are near to none: the comparison costs the product of both lengths


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a name is near to, if any: the nearest, or the first of those that are equally near."""
    if len(name) > _MAX_NAME_CHARACTERS:
        return None
    edits = {candidate: _edits(name.lower(), candidate.lower()) for candidate in candidates}
    near = [candidate for candidate, count in edits.items() if count <= _tolerance(candidate)]
    return min(near, key=edits.__getitem__, default=None)


def _tolerance(name: str) -> int:
    return 1 + (len(name) >= _LONG_NAME_CHARACTERS)


def _edits(one: str, other: str) -> int:
    """The number of edits between two names."""
    before: list[int] = []  # the row before the last
    last = list(range(len(other) + 1))
    for row, character in enumerate(one, 1):
        current = [row]
        for column, target in enumerate(other, 1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (character != target))
            if min(row, column) > 1 and (character, one[row - 2]) == (other[column - 2], target):
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, last = last, current
    return last[-1]
