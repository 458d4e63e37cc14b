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
    is_reply = False
    while True:
        while subject.endswith(_TRAILER):  # 2
            subject, is_reply = subject[: -len(_TRAILER)].rstrip(), True
        leaders = _LEADERS.match(subject)  # 3 to 5: once no reply follows the blobs, none will when they are gone
        if leaders is not None:
            is_reply = is_reply or bool(leaders["replies"].strip())
            subject = subject[leaders.end() :]
        if not (subject.startswith(_FORWARDED) and subject.endswith("]")):
            return BaseSubject(subject, is_reply)
        subject, is_reply = subject[len(_FORWARDED) : -1].strip(), True  # 6
