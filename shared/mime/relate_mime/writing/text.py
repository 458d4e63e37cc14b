"""Text of strangers, made safe for a message of ours: nothing in it can end a line, and its length is bounded."""

from collections.abc import Iterator
from email.utils import formatdate

from relate_mime.printable import printable

MAX_VALUE_OCTETS = 900
"""The longest value of a field, and the longest quoted reply: with a name before it, a line has at most 998 octets."""

MAX_LINE_OCTETS = 76
"""The length beyond which a line is folded or wrapped, where it has a space (RFC 5322 §2.1.1 recommends 78)."""

ELLIPSIS = "…"


def visible(text: str, max_octets: int = MAX_VALUE_OCTETS, *, ascii_only: bool = False) -> str:
    r"""Return the text in one line of at most `max_octets` of UTF-8, its end replaced by an ellipsis if it is longer.

    Control characters, line ends, directional marks and lone surrogates become escapes (`\x1b`, `\u202e`); with
    `ascii_only`, all other characters that are not ASCII, too.
    """
    front = text[: max_octets + 1]  # an escape is longer than its character
    if ascii_only and not (front.isascii() and front.isprintable()):
        front = front.encode("unicode_escape").decode().replace(r"\\", "\\")
    else:
        front = printable(front)
    return _cut(front, max_octets, "..." if ascii_only else ELLIPSIS)


def wrap(text: str, prefix: str = "") -> Iterator[str]:
    """Split a text of one line at its spaces into lines of about MAX_LINE_OCTETS, `prefix` included."""
    line: list[str] = []
    free = 0
    for word in filter(None, text.split(" ")):
        needed = 1 + _octets(word)
        if line and needed > free:
            yield prefix + " ".join(line)
            line.clear()
        if not line:
            free = MAX_LINE_OCTETS + 1 - _octets(prefix)
        line.append(word)
        free -= needed
    yield prefix + " ".join(line)


def date_time(seconds: float) -> str:
    """A date-time of RFC 5322 §3.3 in UTC; `seconds` since the epoch."""
    return formatdate(seconds, usegmt=True).replace("GMT", "+0000")


def _cut(text: str, max_octets: int, ellipsis: str) -> str:
    octets = text.encode()
    if len(octets) <= max_octets:
        return text
    return octets[: max_octets - _octets(ellipsis)].decode(errors="ignore") + ellipsis


def _octets(text: str) -> int:
    return len(text.encode())
