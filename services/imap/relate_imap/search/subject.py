"""The base subject (RFC 5256 §2.1): a subject without "Re:", "[list]" and "(fwd)". Pure."""

import re
from functools import lru_cache
from typing import NamedTuple

_BLOB = r"\[[^\[\]]*+\] *+"
_REPLY = rf"(?:re|fwd?) *+(?:{_BLOB})?+:"
_LEADERS = re.compile(rf"(?P<replies>(?: ++|(?:{_BLOB})*+{_REPLY})*+)(?:{_BLOB}(?=.))*+")
_SPACES = re.compile(r"\s+")
_TRAILER, _FORWARDED = "(fwd)", "[fwd:"


class BaseSubject(NamedTuple):
    """The base subject, case folded. `is_reply` tells whether a marker of a reply or forward was removed."""

    text: str
    is_reply: bool


@lru_cache(4096)
def base_subject(folded: str) -> BaseSubject:
    """The base subject of a decoded, folded subject. The numbers are the RFC's steps; each strips one end."""
    subject = _SPACES.sub(" ", folded)  # 1
    start, end, is_reply = 0, len(subject), False
    while True:
        start, end = _strip(subject, start, end)
        while subject.endswith(_TRAILER, start, end):  # 2
            start, end = _strip(subject, start, end - len(_TRAILER))
            is_reply = True
        # 3 to 5 in one match: if no reply marker follows the blobs, removing blobs uncovers none
        leaders = _LEADERS.match(subject, start, end)
        if leaders is not None:
            is_reply = is_reply or bool(leaders["replies"].strip())
            start = leaders.end()
        if not (subject.startswith(_FORWARDED, start, end) and subject.endswith("]", start, end)):
            return BaseSubject(subject[start:end], is_reply)
        start, end, is_reply = start + len(_FORWARDED), end - 1, True  # 6


def _strip(subject: str, start: int, end: int) -> tuple[int, int]:
    """Without a space at either end; there is at most one."""
    start += subject.startswith(" ", start, end)
    return start, end - subject.endswith(" ", start, end)
