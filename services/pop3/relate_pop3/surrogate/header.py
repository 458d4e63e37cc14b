"""A header in ASCII: each field that holds UTF-8 is written anew, in the form that its name asks for."""

import re
from collections.abc import Callable

from relate_mailstore.mime.fields import comment_end, header_end, header_fields, unfold
from relate_pop3.surrogate.addresses import encode_addresses
from relate_pop3.surrogate.folding import FoldedBody, Kind, split_words
from relate_pop3.surrogate.parameters import encode_parameters

ENCODED_LIMIT_OCTETS = 32_768
"""Octets of fields that are written anew: 30 ms for the worst, in the loop. In a header with more, "?" stands for each
octet of the rest."""

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
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

Form = Callable[[str, str], str | None]
"""From a field's name with its colon, and its unfolded body, to the field; None where the form cannot hold it."""


def encode_header(header: bytes) -> bytes:
    """A header in ASCII. A field that is no UTF-8 stays as it is."""
    if header.isascii():
        return header
    stop = header_end(header, 0, len(header))
    pieces: list[bytes] = []
    position, room = 0, ENCODED_LIMIT_OCTETS
    while found := _BEYOND_ASCII.search(header, position, stop):
        nearest = max(position, found.start() - ENCODED_LIMIT_OCTETS)
        start, end = _field_around(header, found.start(), nearest, stop)
        pieces.append(header[position:start])
        room -= end - start
        if room < 0:
            pieces.append(header[start:stop].translate(_QUESTION_MARKS))
            position = stop
            break
        pieces.append(_encode_field(header[start:end]))
        position = end
    return b"".join([*pieces, header[position:]])


def _field_around(header: bytes, octet: int, start: int, stop: int) -> tuple[int, int]:
    """Where the field lies that an octet is in."""
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
    if field is None:  # a line that is no field
        return _encode_text("", body.decode().lstrip("\ufeff")).encode() + line_end
    name, value = field.name.decode(), unfold(field.value).decode()
    return _form_of(name)(f"{name}:", value).encode() + line_end


def _form_of(name: str) -> Callable[[str, str], str]:
    lower = name.lower()
    if lower in _ADDRESSES:
        return _or_downgraded(encode_addresses)
    if lower in _PARAMETERS:
        return _or_downgraded(encode_parameters)
    return _or_downgraded(_encode_comments) if lower in _STRUCTURED else _encode_text


def _or_downgraded(form: Form) -> Callable[[str, str], str]:
    """What no form holds is kept as text under another name (RFC 6857 §3.1.10)."""

    def encode(name: str, value: str) -> str:
        encoded = form(name, value)
        if encoded is None or not encoded.isascii():
            encoded = _encode_comments(name, value)
        return encoded if encoded.isascii() else _encode_text(f"Downgraded-{name}", value)

    return encode


def _encode_text(name: str, value: str) -> str:
    body = FoldedBody(name)
    body.add_words(split_words(f" {value}" if name else value))
    return str(body)


def _encode_comments(name: str, value: str) -> str:
    """A structured field: only in its comments may encoded-words stand (RFC 2047 §5 (2))."""
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
