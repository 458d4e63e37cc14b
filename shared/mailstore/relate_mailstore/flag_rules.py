"""STORE's effect on the flags and keywords of an entry. Pure."""

from relate_mailstore.entry_columns import Entry
from relate_mailstore.errors import TooManyKeywords
from relate_mailstore.keywords import MAX_MESSAGE_KEYWORDS, key_of
from relate_mailstore.types import FlagChange, ModSeq


def change_entry(entry: Entry, change: FlagChange, modseq: ModSeq) -> Entry:
    """The entry after a change, with this modseq; the same object if the change has no effect (RFC 7162 §3.1).

    Raises TooManyKeywords.
    """
    flags = int(change.add if change.replace else entry.flags & ~change.remove | change.add)
    keywords = change_keywords(entry.keywords, change)
    if (flags, keywords) == (entry.flags, entry.keywords):
        return entry
    return entry._replace(flags=flags, keywords=keywords, modseq=modseq)


def change_keywords(keywords: tuple[str, ...], change: FlagChange) -> tuple[str, ...]:
    """The keywords of a message after a change.

    Raises TooManyKeywords for more than MAX_MESSAGE_KEYWORDS, unless the message had as many before.
    """
    if not (change.add_keywords or change.remove_keywords or change.replace):
        return keywords
    added = {key_of(keyword): keyword for keyword in reversed(change.add_keywords)}
    removed = {*map(key_of, keywords if change.replace else change.remove_keywords)}
    remaining = {keyword for keyword in keywords if key_of(keyword) not in removed or key_of(keyword) in added}
    present = {*map(key_of, remaining)}
    changed = remaining.union(keyword for key, keyword in added.items() if key not in present)
    if len(changed) > max(MAX_MESSAGE_KEYWORDS, len(keywords)):
        raise TooManyKeywords(f"{len(changed)} keywords of a message")
    return tuple(sorted(changed))
