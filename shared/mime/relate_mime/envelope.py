"""ENVELOPE (RFC 9051 §7.5.2), encoded once from the raw octets of the fields, without decoding them."""

from typing import NamedTuple

from relate_mime.address_lists import NO_ADDRESSES, AddressList, read_address_list
from relate_mime.fields import Fields, unfold
from relate_mime.strings import encode_nstring


class Envelope(NamedTuple):
    """An encoded ENVELOPE, and those of its members that lists show: unfolded, None for a missing field."""

    encoded: bytes
    date: bytes | None
    subject: bytes | None
    from_: AddressList
    sender: AddressList
    to: AddressList
    cc: AddressList
    bcc: AddressList
    header_message_id: bytes | None


def read_envelope(fields: Fields) -> Envelope:
    """The envelope of a message with these header fields."""
    date, subject = _text(fields, b"date"), _text(fields, b"subject")
    from_ = _address_list(fields, b"from")
    sender = _address_list(fields, b"sender", from_)
    reply_to = _address_list(fields, b"reply-to", from_)
    to, cc, bcc = (_address_list(fields, name) for name in (b"to", b"cc", b"bcc"))
    header_message_id = _text(fields, b"message-id")
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
        encode_nstring(header_message_id),
    )
    return Envelope(encoded, date, subject, from_, sender, to, cc, bcc, header_message_id)


def _text(fields: Fields, name: bytes) -> bytes | None:
    value = fields.get(name)
    return None if value is None else unfold(value)


def _address_list(fields: Fields, name: bytes, default: AddressList = NO_ADDRESSES) -> AddressList:
    value = fields.get(name)
    addresses = NO_ADDRESSES if value is None else read_address_list(value)
    return default if addresses is NO_ADDRESSES else addresses
