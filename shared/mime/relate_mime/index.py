"""The index of a message, computed once at delivery: envelope, structure, offsets of parts, text for lists."""

import re

from relate_mime.charsets import clean_lines, clean_value, decode_charset, decode_unlabelled
from relate_mime.dates import parse_zoned_date
from relate_mime.embedded import find_embedded
from relate_mime.envelope import Envelope, read_envelope
from relate_mime.fields import Fields
from relate_mime.parts import list_parts
from relate_mime.preview import preview_part
from relate_mime.scan import scan
from relate_mime.structure import encode_bodystructure
from relate_mime.transfer import decode_transfer
from relate_mime.types import Address, MessageIndex, Part
from relate_mime.words import decode_words

MAX_REFERENCES = 100
"""Message ids stored per message, the root and the nearest: References grows by one with each reply."""

REFERENCES_LIMIT_OCTETS = 131_072
"""Octets of References and of In-Reply-To that are parsed: the end, and the root at the beginning."""

_ROOT_OCTETS = 998

_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,995})>")  # it cannot be folded, and a line has at most 998 octets
_NO_ADDRESS = Address("", "")
_READABLE = ("text/plain", "text/html")


def index_message(raw: bytes) -> MessageIndex:
    """Index a raw message. Never raises; time and memory are linear in its octets.

    `parts` are in the order of the message, outer before inner. The first, with the section "", is the message itself:
    [header, body) is HEADER and [body, end) is TEXT. Likewise the section "3." is the message inside the
    message/rfc822 part "3": 3.HEADER and 3.TEXT. All other sections are those of RFC 9051 §6.4.5: the only part of a
    message that is not a multipart is "1" (or "3.1").
    """
    root = scan(raw)
    parts = list_parts(root, find_embedded(raw, root))
    envelope = read_envelope(root.fields)
    date, zone = (envelope.date and parse_zoned_date(envelope.date)) or (None, 0)
    return MessageIndex(
        size=len(raw),
        envelope=envelope.encoded,
        bodystructure=encode_bodystructure(raw, root),
        parts=parts,
        subject=decode_words(envelope.subject or b""),
        sender=_sender(envelope),
        senders=envelope.from_.addresses,
        to=envelope.to.addresses,
        cc=envelope.cc.addresses,
        bcc=envelope.bcc.addresses,
        date=date,
        zone=zone,
        header_message_id=find_message_id(envelope.header_message_id or b""),
        references=_references(root.fields),
        preview=_preview(raw, parts),
    )


def decode_part(raw: bytes, part: Part) -> bytes:
    """The content of a part, transfer-decoded."""
    return decode_transfer(raw[part.body : part.end], part.encoding)


def part_text(raw: bytes, part: Part) -> str:
    """The content of a part as text, with its line ends unchanged."""
    return clean_lines(decode_charset(decode_part(raw, part), part.charset))


def _sender(envelope: Envelope) -> Address:
    addresses = envelope.from_.addresses or envelope.sender.addresses
    with_domain = (address for address in addresses if "@" in address.address)
    return next(with_domain, addresses[0] if addresses else _NO_ADDRESS)


def find_message_id(value: bytes) -> str:
    """The message id in the value of a Message-ID field, without angle brackets, which may be missing."""
    match = _MESSAGE_ID.search(value)
    return _id_text(match[1] if match else value.strip(b"<>"))


def _references(fields: Fields) -> tuple[str, ...]:
    """The message ids of References, then those that only In-Reply-To has (RFC 5322 §3.6.4)."""
    ids = _MESSAGE_ID.findall(_near_ends(fields.get(b"references", b"")) + _near_ends(fields.get(b"in-reply-to", b"")))
    if not ids:
        return ()
    distinct = [*dict.fromkeys(ids)]
    if len(distinct) > MAX_REFERENCES:
        distinct[1 : 1 - MAX_REFERENCES] = []
    return tuple(_id_text(identifier) for identifier in distinct)


def _near_ends(value: bytes) -> bytes:
    if len(value) <= REFERENCES_LIMIT_OCTETS:
        return value
    return value[:_ROOT_OCTETS] + b" " + value[-REFERENCES_LIMIT_OCTETS:]


def _id_text(identifier: bytes) -> str:
    return clean_value(decode_unlabelled(identifier))


def _preview(raw: bytes, parts: tuple[Part, ...]) -> str:
    """The preview of the first text part that has one: in multipart/alternative, plain text precedes HTML."""
    previews = (preview_part(raw, part) for part in parts if _is_readable(part))
    return next(filter(None, previews), "")


def _is_readable(part: Part) -> bool:
    return part.media_type in _READABLE and part.section[-1:].isdigit() and not part.attachment
