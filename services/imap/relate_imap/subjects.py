"""The base subject (RFC 5256 §2.1): what is left of a subject when "Re:", "[list]" and "(fwd)" are taken away. Pure."""

import re
from functools import lru_cache
from typing import NamedTuple

_BLOB = r"\[[^\[\]]*+\] *+"
_REPLY = rf"(?:re|fwd?) *+(?:{_BLOB})?+:"
_LEADERS = re.compile(rf"(?P<replies>(?: ++|(?:{_BLOB})*+{_REPLY})*+)(?:{_BLOB}(?=.))*+")
_SPACES = re.compile(r"\s+")
_TRAILER, _FORWARDED = "(fwd)", "[fwd:"


class BaseSubject(NamedTuple):
    """Without regard to case. `is_reply` says that something was taken away that replies and forwards have."""

    text: str
    is_reply: bool


@lru_cache(4096)
def base_subject(folded: str) -> BaseSubject:
    """Of a subject that was decoded, and its case folded. The steps are those of the RFC."""
    subject = _SPACES.sub(" ", folded).strip()  # 1
    start, end, is_reply = 0, len(subject), False
    while True:  # what is left is between these places: cutting it out each time would copy it each time
        while subject.endswith(_TRAILER, start, end):  # 2
            end, is_reply = _before_spaces(subject, start, end - len(_TRAILER)), True
        leaders = _LEADERS.match(subject, start, end)  # 3 to 5: no reply that follows the blobs, when they are gone
        if leaders is not None:
            is_reply = is_reply or bool(leaders["replies"].strip())
            start = leaders.end()
        if not (subject.startswith(_FORWARDED, start, end) and subject.endswith("]", start, end)):
            return BaseSubject(subject[start:end], is_reply)
        start, is_reply = start + len(_FORWARDED), True  # 6
        end = _before_spaces(subject, start, end - 1)
        start += subject.startswith(" ", start, end)


def _before_spaces(subject: str, start: int, end: int) -> int:
    """Where [start, end) ends without the space that may be there: there are no two in a row."""
    return end - subject.endswith(" ", start, end)
