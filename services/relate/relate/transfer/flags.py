"""Flags and keywords as IMAP names them, and as they are stored. Pure."""

import re
from collections.abc import Iterable, Iterator

from relate_imap.grammar.cursor import ATOM_CHAR
from relate_imap.grammar.flags import SYSTEM_FLAGS
from relate_imap.selected.flags import MAX_KEYWORD_OCTETS, WELL_KNOWN
from relate_mailstore.keywords import MAX_MAILBOX_KEYWORDS, MAX_MESSAGE_KEYWORDS, key_of
from relate_mailstore.types import Flag

NAMES = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}

_KEYWORD = re.compile(ATOM_CHAR.decode("ascii") + "+", re.ASCII)
_USUAL = {key_of(keyword): keyword for keyword in WELL_KNOWN}


def parse_flags(names: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Flag bits and keywords; system flags that are unknown here (\\Recent, extensions) are left out."""
    bits, keywords = 0, []
    for name in names:
        if name.startswith("\\"):
            bits |= SYSTEM_FLAGS.get(name.upper(), 0)
        else:
            keywords.append(name)
    return int(bits), tuple(keywords)


def flag_names(bits: int, keywords: Iterable[str]) -> Iterator[str]:
    """The inverse of `parse_flags`."""
    yield from (name for flag, name in NAMES.items() if bits & flag)
    yield from keywords


class MailboxKeywords:
    """The keywords of a mailbox that messages come into: each keeps its first spelling, and there is a limit."""

    def __init__(self, known: Iterable[str]) -> None:
        self._spellings = {key_of(keyword): keyword for keyword in known}

    def fit(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """Those that are valid and that there is room for, spelled as in the mailbox."""
        fitting: dict[str, str] = {}
        for keyword in keywords:
            key = key_of(keyword)
            if len(keyword) > MAX_KEYWORD_OCTETS or not _KEYWORD.fullmatch(keyword):
                continue
            if len(fitting) < MAX_MESSAGE_KEYWORDS and (spelling := self._spell(key, keyword)):
                fitting[key] = spelling
        return tuple(fitting.values())

    def _spell(self, key: str, keyword: str) -> str | None:
        if key not in self._spellings and len(self._spellings) >= MAX_MAILBOX_KEYWORDS:
            return None
        return self._spellings.setdefault(key, _USUAL.get(key, keyword))
