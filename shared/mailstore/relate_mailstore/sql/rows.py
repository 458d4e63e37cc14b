"""Rows to values and back. Pure: whoever changes a table's columns changes this file, and no other.

Text of strangers may hold what a text column cannot: NUL, and surrogates that stand for undecodable octets. Both
become U+FFFD, so that no message can be refused for its subject.
"""

import json
import re
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from relate_mailstore.rules import canonical_name
from relate_mailstore.sql.schema import entries
from relate_mailstore.types import (
    AccountId,
    Address,
    Entry,
    Mailbox,
    Message,
    MessageId,
    MessageIndex,
    Part,
)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_part_fields = attrgetter(*Part.__dataclass_fields__)


def storable(text: str) -> str:
    """The text as a text column can hold it."""
    return _UNSTORABLE.sub("\ufffd", text)


def stored_name(name: str) -> str:
    """The name under which a mailbox is kept, as a text column can hold it."""
    return storable(canonical_name(name))


def pack_keywords(keywords: Collection[str]) -> str:
    """Keywords in one column, separated by spaces. Raises ValueError for what is no atom (RFC 9051 §2.3.2)."""
    text = storable(" ".join(keywords))
    if text.split() != list(keywords):
        raise ValueError("a keyword is empty or holds a space")
    return text


def unpack_keywords(text: str) -> tuple[str, ...]:
    """The keywords in a column."""
    return tuple(text.split(" ")) if text else ()


def index_row(index: MessageIndex) -> dict[str, Any]:
    """The columns of `messages` that come from the index: what a delivery says itself is not among them."""
    return {
        "attachments": index.attachments,
        "date": index.date,
        "subject": storable(index.subject),
        "sender_name": storable(index.sender.name),
        "sender_address": storable(index.sender.address),
        "recipients": json.dumps([index.to, index.cc]),
        "preview": storable(index.preview),
        "message_id": storable(index.message_id),
        "reference_ids": json.dumps(index.references),
        "envelope": index.envelope,
        "bodystructure": index.bodystructure,
        "parts": json.dumps([_part_fields(part) for part in index.parts]),
        "search": storable(search_text(index)),
    }


def search_text(index: MessageIndex) -> str:
    """What a search for text looks at; lines keep a match from running over from one field into the next."""
    addresses = (" ".join(address) for address in (index.sender, *index.to, *index.cc))
    return "\n".join((*addresses, index.subject, index.preview)).casefold()


ENTRY_COLUMNS = (
    entries.c.uid,
    entries.c.message_id,
    entries.c.size,
    entries.c.flags,
    entries.c.keywords,
    entries.c.internal_date,
    entries.c.modseq,
)
"""The columns that `parse_entry` takes, in its order."""


def parse_mailbox(row: Row[Any]) -> Mailbox:
    """A row of `mailboxes`, whole."""
    return Mailbox(*row)


def parse_entry(row: Sequence[Any]) -> Entry:
    """A row of `ENTRY_COLUMNS`."""
    uid, message_id, size, flags, keywords, internal_date, modseq = row
    return Entry(uid, message_id, size, flags, unpack_keywords(keywords), internal_date, modseq)


def parse_message(row: Row[Any]) -> Message:
    """A row of `messages`, whole."""
    return Message(MessageId(row.id), AccountId(row.account_id), _parse_index(row), row.received, row.origin)


def _parse_index(row: Row[Any]) -> MessageIndex:
    to, cc = (tuple(Address(*address) for address in field) for field in json.loads(row.recipients))
    return MessageIndex(
        size=row.size,
        envelope=row.envelope,
        bodystructure=row.bodystructure,
        parts=tuple(Part(*part) for part in json.loads(row.parts)),
        subject=row.subject,
        sender=Address(row.sender_name, row.sender_address),
        to=to,
        cc=cc,
        date=row.date,
        message_id=row.message_id,
        references=tuple(json.loads(row.reference_ids)),
        preview=row.preview,
    )
