"""The people of a message with the names of their groups (RFC 5322 §3.4), which only its ENVELOPE has.

A name stands where the group begins, as the mailbox of an address without a host: so it is searched, and sorted by
(RFC 5256 §3: the addr-mailbox of the first address).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from relate_mailstore.mime.body import Item, parse_list
from relate_mailstore.mime.words import decode_words
from relate_mailstore.types import Address, MessageIndex

_GROUP_END = b"(NIL NIL NIL NIL)"
_FROM, _TO, _CC, _BCC = 2, 5, 6, 7  # places in an ENVELOPE (RFC 9051 §7.5.2)
_LITERAL = re.compile(rb"\{\d+\}\r\n")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

People = Sequence[Address]


def people_with_groups(index: MessageIndex) -> tuple[People, People, People, People]:
    """From (or else Sender), To, Cc and Bcc."""
    fields = (index.senders or (index.sender,), index.to, index.cc, index.bcc)
    if _GROUP_END not in index.envelope:
        return fields
    members = parse_list(index.envelope).members
    from_, to, cc, bcc = (
        tuple(_merge(index.envelope, members[place], people))
        for place, people in zip((_FROM, _TO, _CC, _BCC), fields, strict=True)
    )
    return from_, to, cc, bcc


def _merge(envelope: bytes, field: Item, people: People) -> Iterator[Address]:
    remaining = iter(people)
    for address in field.members:
        mailbox, host = (envelope[item.start : item.end] for item in address.members[2:4])
        if host != b"NIL":
            yield from islice(remaining, 1)
        elif mailbox != b"NIL":
            yield Address("", decode_words(_string(mailbox)))
    yield from remaining


def _string(encoded: bytes) -> bytes:
    """The octets of a string that `encode_string` made."""
    if encoded.startswith(b"{"):
        return _LITERAL.sub(b"", encoded, count=1)
    return _QUOTED_PAIR.sub(rb"\1", encoded[1:-1])
