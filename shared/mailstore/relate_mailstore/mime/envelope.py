"""ENVELOPE (RFC 9051 §7.5.2): rendered once, from the raw octets of the fields. Nothing is decoded in it."""

from typing import NamedTuple

from relate_mailstore.mime.correspondents import NOBODY, AddressList, read_address_list
from relate_mailstore.mime.fields import Fields, unfold
from relate_mailstore.mime.strings import encode_nstring


class Envelope(NamedTuple):
    """The members of an ENVELOPE that are shown in lists; texts as the field has them, None when it is missing."""

    encoded: bytes
    date: bytes | None
    subject: bytes | None
    from_: AddressList
    sender: AddressList
    to: AddressList
    cc: AddressList
    bcc: AddressList
    message_id: bytes | None


def read_envelope(fields: Fields) -> Envelope:
    """The envelope of a message, from its header fields."""
    date, subject = _text(fields, b"date"), _text(fields, b"subject")
    from_ = _address_list(fields, b"from")
    sender = _address_list(fields, b"sender", from_)
    reply_to = _address_list(fields, b"reply-to", from_)
    to, cc, bcc = (_address_list(fields, name) for name in (b"to", b"cc", b"bcc"))
    message_id = _text(fields, b"message-id")
    encoded = b"(%b %b %b %b %b %b %b %b %b %b)" % (
        encode_nstring(date),
        encode_nstring(subject),
        from_.encoded,
        sender.encoded,
        reply_to.encoded,
        to.encoded,
        cc.encoded,
        bcc.encoded,
        encode_nstring(_text(fields, b"in-reply-to")),
        encode_nstring(message_id),
    )
    return Envelope(encoded, date, subject, from_, sender, to, cc, bcc, message_id)


def _text(fields: Fields, name: bytes) -> bytes | None:
    value = fields.get(name)
    return None if value is None else unfold(value)


def _address_list(fields: Fields, name: bytes, default: AddressList = NOBODY) -> AddressList:
    value = fields.get(name)
    people = NOBODY if value is None else read_address_list(value)
    return default if people is NOBODY else people
