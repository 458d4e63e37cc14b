"""Encodes untagged responses (RFC 9051 §7). Pure, and the only module that knows their form."""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

from relate_imap.conversation import Conversation, Extension
from relate_imap.selected.mailbox import SelectedMailbox, Update
from relate_imap.selected.sequence_set import Range, encode_ranges, ranges_of
from relate_mailstore.types import Entry, Flag, Uid

CRLF = b"\r\n"

# Longer strings are sent as literals.
MAX_QUOTED_OCTETS = 1000

SYSTEM_FLAGS = {
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.SEEN: "\\Seen",
    Flag.DRAFT: "\\Draft",
}

RECENT = "\\Recent"

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MINUTES = tuple(b"%02d:%02d:" % divmod(minute, 60) for minute in range(1440))
_SECONDS = tuple(b'%02d +0000"' % second for second in range(60))
_UNQUOTABLE = (b"\r", b"\n", b"\0")


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    """A quoted string if possible, else a literal (RFC 9051 §4.3)."""
    if (
        len(octets) > MAX_QUOTED_OCTETS
        or any(octet in octets for octet in _UNQUOTABLE)
        or not (utf8 or octets.isascii())
    ):
        return b"{%d}\r\n%b" % (len(octets), octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def nstring(text: str | None, *, utf8: bool = False) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if text is None else string(text.encode(), utf8=utf8)


@lru_cache(4096)
def flag_list(flags: int, keywords: tuple[str, ...], recent: bool = False) -> bytes:
    """`(\\Seen $Forwarded)`: system flags, keywords, and \\Recent if `recent`."""
    names = [name for flag, name in SYSTEM_FLAGS.items() if flags & flag]
    return f"({' '.join([*names, *keywords, *([RECENT] if recent else [])])})".encode()


@lru_cache(4096)
def _day(days: int) -> bytes:
    date = time.gmtime(days * 86400)
    return b'"%2d-%b-%04d ' % (date.tm_mday, _MONTHS[date.tm_mon - 1], date.tm_year)


def date_time(seconds: int) -> bytes:
    """`" 7-Feb-1994 21:52:25 +0000"`: quoted, in UTC. Tables make it cheap for lists of whole mailboxes."""
    minutes, second = divmod(seconds, 60)
    days, minute = divmod(minutes, 1440)
    return _day(days) + _MINUTES[minute] + _SECONDS[second]


def flags(selected: SelectedMailbox) -> bytes:
    """FLAGS and PERMANENTFLAGS of a mailbox (RFC 9051 §7.3.5, §7.1)."""
    names = " ".join((*SYSTEM_FLAGS.values(), *selected.keywords))
    permanent = "" if selected.read_only else f"{names} \\*"
    return f"* FLAGS ({names})\r\n* OK [PERMANENTFLAGS ({permanent})] Flags kept\r\n".encode()


def new_keywords(selected: SelectedMailbox, entries: Iterable[Entry]) -> bytes:
    """FLAGS and PERMANENTFLAGS, if these entries have keywords that the client was not sent; else nothing.

    Dovecot and James do so too: some clients build their list of labels from it.
    """
    return flags(selected) if selected.announce_keywords(entries) else b""


def exists(count: int) -> bytes:
    """`* n EXISTS`"""
    return b"* %d EXISTS\r\n" % count


def fetch(number: int, *attributes: bytes) -> bytes:
    """`* n FETCH (…)`"""
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(attributes))


def vanished(uids: Iterable[Range], *, earlier: bool = False) -> bytes:
    """`* VANISHED (EARLIER) 1:3` (RFC 7162 §3.2.10); nothing for no UIDs."""
    numbers = encode_ranges(uids).encode()
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", numbers) if numbers else b""


def flags_of(conversation: Conversation, entry: Entry) -> bytes:
    """`FLAGS (…)` of a message, with \\Recent if this client is sent it."""
    return b"FLAGS " + flag_list(entry.flags, entry.keywords, conversation.recent_uids.includes(entry.uid))


def flags_changed(conversation: Conversation, number: int, entry: Entry, *, uid: bool, silent: bool = False) -> bytes:
    """An unsolicited FETCH response: FLAGS unless `silent`, UID if `uid` or QRESYNC, MODSEQ if CONDSTORE."""
    attributes = [] if silent else [flags_of(conversation, entry)]
    if uid or Extension.QRESYNC in conversation.enabled:
        attributes.insert(0, b"UID %d" % entry.uid)
    if conversation.sends_modseq:
        attributes.append(b"MODSEQ (%d)" % entry.modseq)
    return fetch(number, *attributes)


def update(conversation: Conversation, selected: SelectedMailbox, changes: Update, *, uid: bool) -> bytes:
    """The responses for an update: new keywords, EXPUNGE or VANISHED, EXISTS and RECENT, FETCH."""
    changed = (entry for _, entry in changes.changed)
    parts = [new_keywords(selected, (*changes.arrived, *changed))]
    if changes.expunged:
        parts.append(_expunged(changes.expunged, vanish=Extension.QRESYNC in conversation.enabled))
    if changes.exists is not None:
        parts.append(exists(changes.exists))
        if conversation.sends_recent:
            parts.append(b"* %d RECENT\r\n" % selected.recent_count)
    parts.extend(flags_changed(conversation, number, entry, uid=uid) for number, entry in changes.changed)
    return b"".join(parts)


def _expunged(messages: Sequence[tuple[int, Uid]], *, vanish: bool) -> bytes:
    """From the last to the first, so that no EXPUNGE changes the number in a later one."""
    if vanish:
        return vanished(ranges_of(uid for _, uid in messages))
    return b"".join(b"* %d EXPUNGE\r\n" % number for number, _ in reversed(messages))
