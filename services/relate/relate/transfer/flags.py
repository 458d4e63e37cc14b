"""Conversion of flags between IMAP names and stored bits. Pure."""

import re
from collections.abc import Iterable, Iterator

from relate_imap.grammar.cursor import ATOM_CHAR
from relate_imap.grammar.flags import SYSTEM_FLAGS
from relate_imap.selected.flags import MAX_KEYWORD_OCTETS, WELL_KNOWN
from relate_mailstore.keywords import MAX_MAILBOX_KEYWORDS, MAX_MESSAGE_KEYWORDS, key_of
from relate_mailstore.types import Flag

FLAG_NAMES = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}

_KEYWORD = re.compile(ATOM_CHAR.decode("ascii") + "+", re.ASCII)
_CANONICAL_SPELLINGS = {key_of(keyword): keyword for keyword in WELL_KNOWN}


def parse_flags(names: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Flag bits and keywords of IMAP flags. Unknown system flags (\\Recent, extensions) are dropped."""
    bits, keywords = 0, []
    for name in names:
        if name.startswith("\\"):
            bits |= SYSTEM_FLAGS.get(name.upper(), 0)
        else:
            keywords.append(name)
    return int(bits), tuple(keywords)


def flag_names(bits: int, keywords: Iterable[str]) -> Iterator[str]:
    """The IMAP names of flag bits and keywords: the inverse of `parse_flags`."""
    yield from (name for flag, name in FLAG_NAMES.items() if bits & flag)
    yield from keywords


class MailboxKeywords:
    """The keywords of a target mailbox: the first spelling wins, and their number is limited."""

    def __init__(self, existing: Iterable[str]) -> None:
        self._spellings = {key_of(keyword): keyword for keyword in existing}

    def accept(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """The valid keywords within the limits, in the mailbox's spelling; the others are dropped."""
        accepted: dict[str, str] = {}
        for keyword in keywords:
            key = key_of(keyword)
            if len(keyword) > MAX_KEYWORD_OCTETS or not _KEYWORD.fullmatch(keyword):
                continue
            if len(accepted) < MAX_MESSAGE_KEYWORDS and (spelling := self._spell(key, keyword)):
                accepted[key] = spelling
        return tuple(accepted.values())

    def _spell(self, key: str, keyword: str) -> str | None:
        if key not in self._spellings and len(self._spellings) >= MAX_MAILBOX_KEYWORDS:
            return None
        return self._spellings.setdefault(key, _CANONICAL_SPELLINGS.get(key, keyword))
