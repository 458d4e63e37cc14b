"""Rules of the mail model that every store follows, whatever it keeps its rows in: names, ids, flags, cursors. Pure."""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from uuid import UUID

from relate_mailstore.errors import MailboxFull
from relate_mailstore.folding import fold
from relate_mailstore.mime.charsets import MAX_TEXT
from relate_mailstore.mime.groups import people_with_groups
from relate_mailstore.types import (
    INBOX,
    Address,
    Entry,
    FlagChange,
    Listed,
    MessageId,
    MessageIndex,
    Summary,
)

DELIMITER = "/"
"""Between the names of a hierarchy of mailboxes."""

PROVISIONED = {
    INBOX: "",
    "Archive": "\\Archive",
    "Drafts": "\\Drafts",
    "Junk": "\\Junk",
    "Sent": "\\Sent",
    "Trash": "\\Trash",
}
"""The mailboxes that an account begins with, each with its special use (RFC 6154 §2)."""

LAST_UID = 2**32 - 2
"""The next one, too, has to be a number of 32 bits: UIDNEXT says it (RFC 9051 §2.3.1.1)."""

_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")  # 64 bits hold any 18 digits


def canonical_name(name: str) -> str:
    """The name under which a mailbox is kept: INBOX is one in any case (RFC 9051 §5.1), all others are as they are."""
    return INBOX if name.lower() == INBOX.lower() else name


def other_than_inbox(name: str) -> str:
    """The canonical name of a mailbox that may go. Raises ValueError for INBOX (RFC 9051 §6.3.5)."""
    if (canonical := canonical_name(name)) == INBOX:
        raise ValueError("INBOX stays")
    return canonical


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


def give_out(uid: int) -> int:
    """A UID for a message. Raises MailboxFull: none is given twice, and none that clients cannot read."""
    if uid > LAST_UID:
        raise MailboxFull("all UIDs have been given out")
    return uid


def change_entry(entry: Entry, change: FlagChange, modseq: int) -> Entry:
    """The entry after a change, with a new modseq; the same entry where the change changes nothing (RFC 7162 §3.1)."""
    if change.replace:
        flags, kept = int(change.add), set()
    else:
        flags, kept = int(entry.flags & ~change.remove | change.add), {*entry.keywords} - {*change.remove_keywords}
    keywords = tuple(sorted(kept | {*change.add_keywords}))
    if (flags, keywords) == (entry.flags, entry.keywords):
        return entry
    return entry._replace(flags=flags, keywords=keywords, modseq=modseq)


def search_text(index: MessageIndex) -> str:
    """What lists are searched in, folded: a line a field, so that no match runs from one into the next.

    The lines: subject, From, To, Cc, Bcc, preview. The name of a group is `<name>`, where the group begins.
    """
    people = map(_people_text, people_with_groups(index))
    return "\n".join((fold(index.subject)[:MAX_TEXT], *map(fold, people), fold(index.preview)))


def _people_text(people: Sequence[Address]) -> str:
    return ", ".join([f"{name} <{address}>" if name else f"<{address}>" for name, address in people if name or address])


def summary_texts(text: str) -> tuple[str, str, str, str, str]:
    """The first five fields of a summary, out of the `search_text`."""
    subject, sender, to, cc, bcc, _ = text.split("\n", 5)
    return subject, sender, to, cc, bcc


NO_SUMMARY = Summary("", "", "", "", "", None, 0, "", (), "")
"""Of a message that is gone."""


def thread_id(references: Sequence[str], header_id: str, message_id: MessageId) -> str:
    """The conversation that a message belongs to (RFC 8474 §5.2): that of the root of its References.

    Without References it is a root itself, by the id in its header; without that one, too, it is alone.
    """
    root = references[0] if references else header_id
    return blake2b(root.encode(errors="replace") or message_id.bytes, digest_size=8).hexdigest()


def moved_name(name: str, old: str, new: str) -> str | None:
    """The name after its mailbox, or one above it, was renamed; None if it is neither."""
    if name == old or name.startswith(old + DELIMITER):
        return new + name[len(old) :]
    return None


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
