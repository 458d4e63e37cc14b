"""Mailbox names in modified UTF-7 and UTF-8; INBOX in any case (RFC 9051 §5.1, RFC 3501 §5.1.3)."""

import binascii
import re

from relate_imap.grammar.cursor import Cursor, Malformed, text_of

INBOX = "INBOX"

# Longer than any name that can be created, in any encoding.
MAX_NAME_OCTETS = 4000

_INBOX = re.compile(r"inbox(?=/|\Z)", re.IGNORECASE | re.ASCII)

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"&|[^ -~]+")
_UNQUOTABLE = re.compile(rb"[\r\n\0]")


def mailbox(cursor: Cursor) -> str:
    """A mailbox name; INBOX is case-insensitive, also as a parent. Raises Malformed."""
    text = name(cursor)
    return INBOX + text[len(INBOX) :] if _INBOX.match(text) else text


def name(cursor: Cursor) -> str:
    """A name or pattern, decoded. Raises Malformed."""
    return decode(cursor.astring(), utf8=cursor.utf8)


def decode(octets: bytes, *, utf8: bool = False) -> str:
    """Decode a name: valid modified UTF-7, else UTF-8. Raises Malformed."""
    if len(octets) > MAX_NAME_OCTETS:
        raise Malformed("The name is too long")
    text = text_of(octets)
    if utf8 or "&" not in text or not text.isascii():
        return text
    return decode_utf7(text)


def decode_utf7(text: str) -> str:
    """Decode modified UTF-7; other text is returned unchanged, because people type `A&B`."""
    if "&" in _SHIFTED.sub("", text):
        return text
    try:
        return _SHIFTED.sub(_decode_shifted, text)
    except ValueError:  # invalid base64 or UTF-16
        return text


def _decode_shifted(match: re.Match[str]) -> str:
    digits = match[1].replace(",", "/")
    if not digits:
        return "&"
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True).decode("utf-16-be")


def encode_utf7(text: str) -> str:
    """Encode as modified UTF-7."""
    return _UNPRINTABLE.sub(_encode_shifted, text)


def _encode_shifted(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    digits = binascii.b2a_base64(match[0].encode("utf-16-be"), newline=False).decode("ascii")
    return f"&{digits.rstrip('=').replace('/', ',')}-"


def encode_mailbox(text: str, *, utf8: bool) -> bytes:
    """Encode a name: quoted, or as a literal if UTF-8 has octets that cannot be quoted."""
    octets = (text if utf8 else encode_utf7(text)).encode()
    if _UNQUOTABLE.search(octets):
        return b"{%d}\r\n%b" % (len(octets), octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
