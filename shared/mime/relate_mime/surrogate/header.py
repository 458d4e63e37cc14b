"""Headers in ASCII: each field with UTF-8 is rewritten, in the form that its name requires."""

import re
from collections.abc import Callable

from relate_mime.charsets import decode_unlabelled
from relate_mime.fields import comment_end, header_end, header_fields, unfold
from relate_mime.parameters import VALUE_LIMIT_OCTETS
from relate_mime.surrogate.addresses import encode_addresses, encodes_exactly
from relate_mime.surrogate.folding import FoldedBody, Kind, split_words
from relate_mime.surrogate.parameters import encode_parameters

MAX_ENCODED_OCTETS = 32_768
"""Octets of fields that are rewritten: the worst case blocks the event loop for 30 ms. In a header with more, each
non-ASCII octet of the rest becomes "?"."""

_NON_ASCII = re.compile(rb"[\x80-\xff]")
_REST_OF_FIELD = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+")
_QUESTION_MARKS = bytes(range(128)) + b"?" * 128

_ADDRESSES = frozenset(
    {
        "bcc",
        "cc",
        "disposition-notification-to",
        "errors-to",
        "from",
        "keywords",
        "list-id",
        "mail-followup-to",
        "mail-reply-to",
        "reply-to",
        "resent-bcc",
        "resent-cc",
        "resent-from",
        "resent-reply-to",
        "resent-sender",
        "resent-to",
        "return-receipt-to",
        "sender",
        "to",
    }
)
_PARAMETERS = frozenset({"content-type", "content-disposition"})
_STRUCTURED = frozenset(
    {
        "arc-authentication-results",
        "arc-message-signature",
        "arc-seal",
        "authentication-results",
        "auto-submitted",
        "content-id",
        "content-language",
        "content-location",
        "content-md5",
        "content-transfer-encoding",
        "date",
        "delivered-to",
        "dkim-signature",
        "final-recipient",
        "in-reply-to",
        "list-archive",
        "list-help",
        "list-owner",
        "list-post",
        "list-subscribe",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-id",
        "mime-version",
        "original-recipient",
        "received",
        "received-spf",
        "references",
        "resent-date",
        "resent-message-id",
        "return-path",
    }
)

Encoder = Callable[[str, str], str | None]
"""Encodes a field, from its name with the colon and its unfolded body; None if this form cannot represent it."""


def encode_header(header: bytes) -> bytes:
    """A header in ASCII. A field that is not valid UTF-8 is unchanged."""
    if header.isascii():
        return header
    stop = header_end(header, 0, len(header))
    pieces: list[bytes] = []
    position, budget = 0, MAX_ENCODED_OCTETS
    while found := _NON_ASCII.search(header, position, stop):
        nearest = max(position, found.start() - MAX_ENCODED_OCTETS)
        start, end = _field_around(header, found.start(), nearest, stop)
        pieces.append(header[position:start])
        budget -= end - start
        if budget < 0:
            pieces.append(header[start:stop].translate(_QUESTION_MARKS))
            position = stop
            break
        pieces.append(_encode_field(header[start:end]))
        position = end
    return b"".join([*pieces, header[position:]])


def encode_field(field: bytes) -> bytes | None:
    """One field in ASCII, without its comments; octets that are not UTF-8 are taken as Latin-1.

    None if no ASCII field has the same meaning: it has an address or an identifier that is not ASCII, or is too long.
    """
    found = next(header_fields(field, 0, len(field)), None)
    if found is None or found.span[0] > 0 or not field.startswith(found.name):
        return None
    name, value = f"{found.name.decode()}:", decode_unlabelled(unfold(found.value))
    lower = found.name.decode().lower()
    encoded: str | None
    if lower in _ADDRESSES:
        encoded = encode_addresses(name, value) if encodes_exactly(value) else None
    elif lower in _PARAMETERS:
        encoded = encode_parameters(name, value) if len(field) <= VALUE_LIMIT_OCTETS else None
    else:
        encoded = (_encode_comments if lower in _STRUCTURED else _encode_text)(name, value)
    return f"{encoded}\r\n".encode() if encoded is not None and encoded.isascii() else None


def _field_around(header: bytes, octet: int, start: int, stop: int) -> tuple[int, int]:
    """Start and end of the field that contains the octet."""
    line = header.rfind(b"\n", start, octet) + 1 or start
    while line > start and header[line] in b" \t":
        line = header.rfind(b"\n", start, line - 1) + 1 or start
    match = _REST_OF_FIELD.match(header, octet, stop)
    return line, match.end() if match else stop


def _encode_field(octets: bytes) -> bytes:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return octets
    field = next(header_fields(octets, 0, len(octets)), None)
    body = octets.rstrip(b"\r\n")
    line_end = octets[len(body) :]
    if field is None:  # the line is not a field
        return _encode_text("", body.decode().lstrip("\ufeff")).encode() + line_end
    name, value = field.name.decode(), unfold(field.value).decode()
    return _encoder_of(name)(f"{name}:", value).encode() + line_end


def _encoder_of(name: str) -> Callable[[str, str], str]:
    lower = name.lower()
    if lower in _ADDRESSES:
        return _or_downgraded(encode_addresses)
    if lower in _PARAMETERS:
        return _or_downgraded(encode_parameters)
    return _or_downgraded(_encode_comments) if lower in _STRUCTURED else _encode_text


def _or_downgraded(encoder: Encoder) -> Callable[[str, str], str]:
    """A field that its form cannot represent is renamed and encoded as text (RFC 6857 §3.1.10)."""

    def encode(name: str, value: str) -> str:
        encoded = encoder(name, value)
        if encoded is None or not encoded.isascii():
            encoded = _encode_comments(name, value)
        return encoded if encoded.isascii() else _encode_text(f"Downgraded-{name}", value)

    return encode


def _encode_text(name: str, value: str) -> str:
    body = FoldedBody(name)
    body.add_words(split_words(f" {value}" if name else value))
    return str(body)


def _encode_comments(name: str, value: str) -> str:
    """A structured field: encoded-words are allowed only in its comments (RFC 2047 §5 (2))."""
    body, octets = FoldedBody(name), f" {value}".encode()
    position = 0
    while position < len(octets):
        opening = octets.find(b"(", position)
        end = comment_end(octets, opening) if opening >= 0 else None
        if end is None:
            opening = end = len(octets)
        for space, word, _ in split_words(octets[position:opening].decode()):
            body.add(space, word)
        if opening < end:
            _add_comment(body, octets[opening + 1 : end - 1].decode())
        position = end
    return str(body)


def _add_comment(body: FoldedBody, comment: str) -> None:
    if all(word.kind is Kind.PLAIN for word in split_words(comment)):
        body.add(" ", f"({comment})")
    else:
        body.add_text(" ", comment, "(", ")")
