"""Rules of the mail model that every store follows, whatever it keeps its rows in: names, ids, flags, cursors. Pure."""

import re
import secrets
import time
from collections.abc import Iterator
from uuid import UUID

from relate_mailstore.types import INBOX, Entry, FlagChange, Listed, MessageId, MessageIndex

PROVISIONED = {
    INBOX: "",
    "Archive": "\\Archive",
    "Drafts": "\\Drafts",
    "Junk": "\\Junk",
    "Sent": "\\Sent",
    "Trash": "\\Trash",
}
"""The mailboxes that an account begins with, each with its special use (RFC 6154 §2)."""

_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")  # 64 bits hold any 18 digits


def canonical_name(name: str) -> str:
    """The name under which a mailbox is kept: INBOX is one in any case (RFC 9051 §5.1), all others are as they are."""
    return INBOX if name.upper() == INBOX else name


def name_order(name: str) -> tuple[bool, str]:
    """Sorts mailbox names: INBOX first."""
    return name != INBOX, name


def message_ids() -> Iterator[MessageId]:
    """UUIDv7 without end, each above the one before: finer time follows the milliseconds (RFC 9562 §6.2, method 3)."""
    tick = 0
    while True:
        tick = max(tick + 1, time.time_ns() * 4096 // 1_000_000)
        milliseconds, fraction = divmod(tick, 4096)
        yield MessageId(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def change_entry(entry: Entry, change: FlagChange, modseq: int) -> Entry:
    """The entry after a change, with a new modseq; the same entry where the change changes nothing (RFC 7162 §3.1)."""
    flags = int(entry.flags & ~change.remove | change.add)
    keywords = tuple(sorted(set(entry.keywords) - set(change.remove_keywords) | set(change.add_keywords)))
    if (flags, keywords) == (entry.flags, entry.keywords):
        return entry
    return entry._replace(flags=flags, keywords=keywords, modseq=modseq)


def search_text(index: MessageIndex) -> str:
    """What a search for text looks at: a line a field, that no match runs from one into the next, without case."""
    addresses = (" ".join(address) for address in (index.sender, *index.to, *index.cc))
    return "\n".join((*addresses, index.subject, index.preview)).casefold()


def position(row: Listed) -> tuple[int, UUID]:
    """Sorts messages: by time of receipt, and those of the same second as they came."""
    return row.message.received, row.message.id


def encode_cursor(row: Listed) -> str:
    """The cursor of the page that follows this row."""
    received, message_id = position(row)
    return f"{received}.{message_id}"


def parse_cursor(cursor: str) -> tuple[int, UUID]:
    """The position of the row before the page. Raises ValueError for what `encode_cursor` never made."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValueError("no cursor of ours")
    return int(match[1]), UUID(match[2])
