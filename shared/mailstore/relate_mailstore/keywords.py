"""Keywords of messages, the labels of the REST API: case-insensitive, in the spelling that came first. Pure.

Version 0.1.0 kept spellings that differ in case apart. Messages may still have such duplicates, and any spelling
finds and removes all of them.
"""

from collections.abc import Collection, Iterable

from relate_mailstore.errors import TooManyKeywords

MAX_MESSAGE_KEYWORDS = 128
"""Per message: as many as Cyrus allows in a mailbox."""

MAX_MAILBOX_KEYWORDS = 512
"""Of all messages of a mailbox: each client that selects it receives all of them."""


def key_of(keyword: str) -> str:
    """The key that all spellings of a keyword share."""
    return keyword.lower()


def one_spelling(keywords: Iterable[str]) -> tuple[str, ...]:
    """The keywords sorted and without duplicates, each in its first spelling."""
    spellings: dict[str, str] = {}
    for keyword in keywords:
        spellings.setdefault(key_of(keyword), keyword)
    return tuple(sorted(spellings.values()))


def new_keywords(keywords: Iterable[str]) -> tuple[str, ...]:
    """The keywords of a new message, as they are stored. Raises TooManyKeywords."""
    distinct = one_spelling(keywords)
    if len(distinct) > MAX_MESSAGE_KEYWORDS:
        raise TooManyKeywords(f"{len(distinct)} keywords of a message")
    return distinct


def spell(keywords: Iterable[str], existing: Collection[str]) -> tuple[str, ...]:
    """Keywords in the spelling that a mailbox has. Raises TooManyKeywords if the mailbox would exceed its limit."""
    spellings = {key_of(keyword): keyword for keyword in existing}
    before = len(spellings)
    spelled = tuple(spellings.setdefault(key_of(keyword), keyword) for keyword in keywords)
    if len(spellings) > max(MAX_MAILBOX_KEYWORDS, before):
        raise TooManyKeywords(f"{len(spellings)} keywords in a mailbox")
    return spelled
