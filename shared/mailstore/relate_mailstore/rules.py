"""Rules of the mail model that every store follows, whatever it keeps its rows in: names, ids, flags, cursors. Pure."""

import re
import secrets
import time
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from uuid import UUID

from relate_mailstore.errors import MailboxExists, MailboxFull, OverQuota, TooManyMailboxes
from relate_mailstore.folding import fold
from relate_mailstore.keywords import change_keywords
from relate_mailstore.mime.charsets import MAX_TEXT
from relate_mailstore.mime.groups import people_with_groups
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Address,
    Delivery,
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

MAX_NAME_OCTETS = 1000
"""Of a mailbox's name: long enough for every tree that people make, short enough for an index."""

MAX_MAILBOXES = 5000
"""Of an account: more than people make, and few enough that all of them are listed and locked in a moment."""

LAST_UID = 2**32 - 2
"""The next one, too, has to be a number of 32 bits: UIDNEXT says it (RFC 9051 §2.3.1.1)."""

_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")  # 64 bits hold any 18 digits


def normal_form(name: str) -> str:
    """The name as it is compared: in Normalization Form C (RFC 9051 §5.1, RFC 5198 §2).

    One that is longer than any mailbox's is as it is: normalizing takes time quadratic in a run of combining marks.
    """
    return name if name.isascii() or len(name) > MAX_NAME_OCTETS else unicodedata.normalize("NFC", name)


def canonical_name(name: str) -> str:
    """The name under which a mailbox is kept: INBOX is one in any case (RFC 9051 §5.1), all others are as they are."""
    return INBOX if name.lower() == INBOX.lower() else name


def expect_room(held: int, more: int, quota: int | None) -> None:
    """Raise OverQuota where an account that holds `held` octets would grow by `more` beyond its quota."""
    if quota is not None and 0 < more > quota - held:
        raise OverQuota(f"{more} octets exceed a quota of {quota} with {held} in use", temporary=more <= quota)


def octets_by_account(delivery: Delivery) -> Mapping[AccountId, int]:
    """By how many octets a delivery lets each account grow: a message counts in every mailbox that it is entered in."""
    entries = Counter(to.account_id for to in delivery.destinations)
    return {account_id: count * len(delivery.raw) for account_id, count in entries.items()}


def other_than_inbox(name: str) -> str:
    """The canonical name of a mailbox that may go. Raises ValueError for INBOX (RFC 9051 §6.3.5)."""
    if (canonical := canonical_name(name)) == INBOX:
        raise ValueError("INBOX stays")
    return canonical


def find_name(names: Iterable[str], name: str) -> str | None:
    """The one of these names that is meant: the same one, else one that is the same in another normal form."""
    same, form = None, normal_form(name)
    for one in names:
        if one == name:
            return one
        if same is None and normal_form(one) == form:
            same = one
    return same


def place_name(names: Iterable[str], name: str) -> str:
    """A new name in normal form; what is above it is written as it is in the names that there are."""
    name = normal_form(name)
    if name.isascii():
        return name
    there = {above for one in names for above in (one, *parents(one))}
    written = {normal_form(above): above for above in there} | {above: above for above in there}
    known = next((parent for parent in parents(name) if parent in written), "")
    return written.get(known, "") + name[len(known) :]


def parents(name: str) -> Iterator[str]:
    """All names above this one: `a/b` and `a` for `a/b/c`."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name


def check_room(mailboxes: int) -> None:
    """Raise TooManyMailboxes where an account has so many that it may have no other."""
    if mailboxes >= MAX_MAILBOXES:
        raise TooManyMailboxes(f"{mailboxes} mailboxes")


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
    """The entry after a change, with a new modseq; the same entry where the change changes nothing (RFC 7162 §3.1).

    Raises TooManyKeywords.
    """
    flags = int(change.add if change.replace else entry.flags & ~change.remove | change.add)
    keywords = change_keywords(entry.keywords, change)
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


def renamed_names(names: Collection[str], old: str, new: str) -> dict[str, str]:
    """What becomes of names when a mailbox is renamed: that one, and all below it. Raises MailboxExists."""
    old = find_name((above for name in names for above in (name, *parents(name))), old) or old
    moved = [name for name in names if name == old or name.startswith(old + DELIMITER)]
    others = {*names} - {*moved}
    new = place_name(others, new)
    renamed = {name: new + name[len(old) :] for name in moved}
    taken = {*map(normal_form, others), *(renamed.keys() & {*renamed.values()})}
    if not taken.isdisjoint(map(normal_form, renamed.values())):
        raise MailboxExists("a new name is taken")
    return renamed


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
