"""Maps rows to values and back. Pure. A change of a table's columns changes this module only.

Text from messages may contain what a text column cannot hold: NUL, and surrogates in place of undecodable octets. Both
become U+FFFD, so that no message is refused for its subject.
"""

import json
import re
from array import array
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, func
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from relate_mailstore.entry_columns import EMPTY_COLUMNS, EntryColumns, pack_numbers
from relate_mailstore.identifiers import thread_id
from relate_mailstore.mailbox_names import canonical_name
from relate_mailstore.sql.schema.tables import entries, mailboxes
from relate_mailstore.summary_text import summary_text
from relate_mailstore.types import AccountId, Entry, Mailbox, Message, MessageId
from relate_mime import Address, MessageIndex, Part

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_part_fields = attrgetter(*Part.__dataclass_fields__)


def storable(text: str) -> str:
    """Replace the characters that a text column cannot hold."""
    if text.isprintable():  # the fast path: neither NUL nor a surrogate is printable
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def stored_name(name: str) -> str:
    """The canonical name of a mailbox, as it is stored."""
    return storable(canonical_name(name))


def pack_keywords(keywords: Collection[str]) -> str:
    """Keywords in one column, separated by spaces. Raises ValueError if one is not an atom (RFC 9051 §2.3.2)."""
    text = storable(" ".join(keywords))
    if text.split() != list(keywords):
        raise ValueError("a keyword is empty or contains a space")
    return text


def unpack_keywords(text: str) -> tuple[str, ...]:
    """Parse a column of keywords."""
    return tuple(text.split(" ")) if text else ()


def index_row(index: MessageIndex, message_id: MessageId) -> dict[str, Any]:
    """The columns of `messages` that come from the index; the others come from the delivery."""
    return {
        "attachments": index.attachments,
        "header_octets": index.parts[0].body if index.parts else 0,
        "thread": thread_id(index.references, index.header_message_id, message_id),
        "date": index.date,
        "zone": index.zone,
        "subject": storable(index.subject),
        "sender_name": storable(index.sender.name),
        "sender_address": storable(index.sender.address),
        "recipients": json.dumps([index.to, index.cc, index.bcc, index.senders]),
        "preview": storable(index.preview),
        "header_message_id": storable(index.header_message_id),
        "reference_ids": json.dumps(index.references),
        "envelope": index.envelope,
        "bodystructure": index.bodystructure,
        "parts": json.dumps([_part_fields(part) for part in index.parts]),
        "search": storable(summary_text(index)),
    }


ENTRY_COLUMNS = (
    entries.c.uid,
    entries.c.message_id,
    entries.c.size,
    entries.c.flags,
    entries.c.keywords,
    entries.c.internal_date,
    entries.c.modseq,
    entries.c.saved,
)
"""The columns of `parse_entry`, in its order."""

KEYWORDS_SEPARATOR = "\n"
"""Between the keywords of different messages: no keyword contains it."""


def column_texts(ordered: ReadOnlyColumnCollection[str, Any]) -> Sequence[ColumnElement[str]]:
    """The columns of `parse_columns`: each column of `entries`, given by name and ordered by UID, as one text.

    Fetching ten thousand rows takes as long as finding them, and a database concatenates in C.
    """
    numbers = (ordered[name] for name in ("uid", "size", "flags", "internal_date", "modseq", "saved"))
    return [
        *(func.aggregate_strings(cast(column, Text), ",") for column in numbers),
        func.aggregate_strings(cast(ordered["message_id"], Text), ""),
        func.aggregate_strings(ordered["keywords"], KEYWORDS_SEPARATOR),
    ]


MAILBOX_COLUMNS = (
    mailboxes.c.id,
    mailboxes.c.account_id,
    mailboxes.c.name,
    mailboxes.c.uid_validity,
    mailboxes.c.uid_next,
    mailboxes.c.highest_modseq,
    mailboxes.c.special_use,
    mailboxes.c.messages,
    mailboxes.c.octets,
    mailboxes.c.recent,
)
"""The columns of `parse_mailbox`, in its order."""


def parse_mailbox(row: Sequence[Any]) -> Mailbox:
    """Parse a row of `MAILBOX_COLUMNS`."""
    return Mailbox(*row)


def parse_entry(row: Sequence[Any]) -> Entry:
    """Parse a row of `ENTRY_COLUMNS`."""
    uid, message_id, size, flags, keywords, internal_date, modseq, saved = row
    return Entry(uid, message_id, size, flags, unpack_keywords(keywords), internal_date, modseq, saved)


def parse_columns(row: Sequence[str | None]) -> EntryColumns:
    """Parse one row of COLUMN_TEXTS, which is a whole piece of a mailbox."""
    if row[0] is None:
        return EMPTY_COLUMNS
    uids, sizes, flags, internal_dates, modseqs, saved = (json.loads(f"[{text}]") for text in row[:-2])
    message_ids, keywords = row[-2:]
    return EntryColumns(
        array("I", uids),
        bytes.fromhex((message_ids or "").replace("-", "")),
        pack_numbers(sizes),
        bytes(flags),
        _unpack_all_keywords(keywords or ""),
        pack_numbers(internal_dates),
        array("Q", modseqs),
        pack_numbers(saved),
    )


def _unpack_all_keywords(text: str) -> tuple[tuple[str, ...], ...] | None:
    if not text.strip(KEYWORDS_SEPARATOR):
        return None
    packed = text.split(KEYWORDS_SEPARATOR)
    unpacked = {one: unpack_keywords(one) for one in set(packed)}
    return tuple(map(unpacked.__getitem__, packed))


def parse_message(row: Row[Any]) -> Message:
    """Parse a complete row of `messages`."""
    return Message(MessageId(row.id), AccountId(row.account_id), parse_index(row), row.received, row.origin)


def parse_index(row: Row[Any]) -> MessageIndex:
    """Parse the index in a row of `messages`."""
    to, cc, bcc, senders = (tuple(Address(*address) for address in field) for field in json.loads(row.recipients))
    return MessageIndex(
        size=row.size,
        envelope=row.envelope,
        bodystructure=row.bodystructure,
        parts=tuple(Part(*part) for part in json.loads(row.parts)),
        subject=row.subject,
        sender=Address(row.sender_name, row.sender_address),
        senders=senders,
        to=to,
        cc=cc,
        bcc=bcc,
        date=row.date,
        zone=row.zone,
        header_message_id=row.header_message_id,
        references=tuple(json.loads(row.reference_ids)),
        preview=row.preview,
    )
