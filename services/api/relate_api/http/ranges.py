"""Range requests for octets (RFC 9110 §14). Pure."""

import re
from typing import NamedTuple

# Longer numbers are no sizes that exist; a server may ignore any Range field (§14.2).
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class NotSatisfiableError(ValueError):
    """The range selects no octet (§15.5.17)."""


class OctetRange(NamedTuple):
    """The octets [start, stop) of a representation of `size` octets, of which `start` exists."""

    start: int
    stop: int
    size: int

    def __str__(self) -> str:
        """The value of Content-Range (§14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def parse_range(field: str | None, size: int) -> OctetRange | None:
    """The range that a Range field selects; None for the whole: without a field, or with one to be ignored.

    Of several ranges none is served, which §14.2 allows. Raises NotSatisfiableError.
    """
    found = _RANGE.fullmatch(field or "")
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":  # the last octets
        start, stop = max(size - int(found[2]), 0), size
    else:
        start, stop = int(found[1]), int(found[2] or size) + bool(found[2])
        if stop <= start < size:
            return None  # not valid: the last position is before the first
    if start >= size:
        raise NotSatisfiableError("no octet is in the range")
    return OctetRange(start, min(stop, size), size)
