"""Finds the known name nearest to a misspelt one, by edit distance.

An edit inserts, removes or replaces a character, or swaps two neighbours (optimal string alignment distance). The
comparison is case-insensitive.
"""

from collections.abc import Iterable

_LONG_NAME_CHARACTERS = 8  # names of this length may differ by two edits, shorter ones by one
_MAX_NAME_CHARACTERS = 64  # longer names match none, because the cost is the product of both lengths


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate with the fewest edits within the tolerance, the first of equals; None if there is none."""
    if len(name) > _MAX_NAME_CHARACTERS:
        return None
    edits = {candidate: _edits(name.lower(), candidate.lower()) for candidate in candidates}
    near = [candidate for candidate, count in edits.items() if count <= _tolerance(candidate)]
    return min(near, key=edits.__getitem__, default=None)


def _tolerance(name: str) -> int:
    return 1 + (len(name) >= _LONG_NAME_CHARACTERS)


def _edits(one: str, other: str) -> int:
    """Return the edit distance of two names."""
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
