"""Keywords of messages, which are the labels of the REST API: they know no case and keep their first spelling. Pure.

Older versions kept spellings that differ in case apart. Such twins stay on the messages that have them, and any
spelling reaches and removes them.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from relate_mailstore.errors import TooManyKeywords

if TYPE_CHECKING:
    from relate_mailstore.types import FlagChange

MAX_MESSAGE_KEYWORDS = 128
"""Of a message: as many as Cyrus lets a whole mailbox have."""

MAX_MAILBOX_KEYWORDS = 512
"""Of all messages of a mailbox: each client that selects it is sent them all."""


def key_of(keyword: str) -> str:
    """The same for all spellings of a keyword."""
    return keyword.lower()


def one_spelling(keywords: Iterable[str]) -> tuple[str, ...]:
    """Keywords in order, each once, in its first spelling."""
    spellings: dict[str, str] = {}
    for keyword in keywords:
        spellings.setdefault(key_of(keyword), keyword)
    return tuple(sorted(spellings.values()))


def new_keywords(keywords: Iterable[str]) -> tuple[str, ...]:
    """The keywords of a message that comes in, as they are kept. Raises TooManyKeywords."""
    distinct = one_spelling(keywords)
    if len(distinct) > MAX_MESSAGE_KEYWORDS:
        raise TooManyKeywords(f"{len(distinct)} keywords of a message")
    return distinct


def change_keywords(keywords: tuple[str, ...], change: "FlagChange") -> tuple[str, ...]:
    """The keywords of a message after a change. Raises TooManyKeywords, but not for as many as there were before."""
    if not (change.add_keywords or change.remove_keywords or change.replace):
        return keywords
    added = {key_of(keyword): keyword for keyword in reversed(change.add_keywords)}
    removed = {*map(key_of, keywords if change.replace else change.remove_keywords)}
    kept = {keyword for keyword in keywords if key_of(keyword) not in removed or key_of(keyword) in added}
    there = {*map(key_of, kept)}
    changed = kept.union(keyword for key, keyword in added.items() if key not in there)
    if len(changed) > max(MAX_MESSAGE_KEYWORDS, len(keywords)):
        raise TooManyKeywords(f"{len(changed)} keywords of a message")
    return tuple(sorted(changed))


def spell(keywords: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Keywords as those of a mailbox are spelled. Raises TooManyKeywords where that would have too many."""
    spellings = {key_of(keyword): keyword for keyword in known}
    there = len(spellings)
    spelled = tuple(spellings.setdefault(key_of(keyword), keyword) for keyword in keywords)
    if len(spellings) > max(MAX_MAILBOX_KEYWORDS, there):
        raise TooManyKeywords(f"{len(spellings)} keywords in a mailbox")
    return spelled
