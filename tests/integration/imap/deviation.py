"""An accepted difference from Dovecot's responses: where it occurs, how the two differ, and why."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Comparison = Callable[[Any, Any], bool]


def any_difference(ours: Any, theirs: Any) -> bool:
    """The two may differ in any way."""
    return True


def only_ours(ours: Any, theirs: Any) -> bool:
    """Only our server sends it."""
    return theirs is None


def only_theirs(ours: Any, theirs: Any) -> bool:
    """Only Dovecot sends it."""
    return ours is None


def refused(ours: Any, theirs: Any) -> bool:
    """Our server refuses, and so sends nothing else."""
    return ours in ("BAD", "NO", None, ())


def missing_part(ours: Any, theirs: Any) -> bool:
    """Our server sends NIL for a missing part, Dovecot an empty string."""
    return ours is None


def without_last_line_end(ours: Any, theirs: Any) -> bool:
    """Ours lacks the last line end; structures differ in sizes and lines."""
    return isinstance(ours, tuple) or theirs == ours + b"\r\n"


def superset(ours: Any, theirs: Any) -> bool:
    """Our LIST attributes include all of Dovecot's, except \\Noselect and \\NonExistent."""
    return ours is not None and (theirs is None or theirs[0] - {"\\noselect", "\\nonexistent"} <= ours[0])


class Deviation(NamedTuple):
    """`dialogue` is a regular expression for the dialogue's text, `fact` one for the name of the fact that differs.

    `comparison` tells whether two values differ in the accepted way.
    """

    dialogue: str
    fact: str
    rfc: str
    reason: str
    comparison: Comparison = any_difference

    def allows(self, dialogue: str, fact: str, ours: Any, theirs: Any) -> bool:
        """Whether this deviation explains a difference."""
        found = re.search(self.dialogue, dialogue) and re.search(self.fact, fact)
        return bool(found) and self.comparison(ours, theirs)
