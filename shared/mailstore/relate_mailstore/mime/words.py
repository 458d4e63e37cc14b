"""Encoded words (RFC 2047, with the language of RFC 2231 §5): header values as text.

More is accepted than may be sent: words inside quoted strings, spaces inside words, characters cut in two by words.
"""

import binascii
import re

from relate_mailstore.mime.charsets import clean_value, decode_charset, decode_unlabelled
from relate_mailstore.mime.fields import unfold
from relate_mailstore.mime.transfer import decode_base64

VALUE_LIMIT_OCTETS = 65_536
"""Octets of a value that are decoded: more than MAX_TEXT characters take, in words of base64 or quoted-printable."""

_WORD = re.compile(rb"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?([^?]*)\?=")


def decode_header(value: bytes) -> str:
    """The text of an unstructured value: unfolded, encoded words decoded, 8-bit octets as UTF-8, else Latin-1."""
    return decode_words(unfold(value[:VALUE_LIMIT_OCTETS]))


def decode_words(value: bytes) -> str:
    """The text of an unfolded value, or of a phrase."""
    value = value[:VALUE_LIMIT_OCTETS]
    if b"=?" not in value:
        return clean_value(decode_unlabelled(value))
    texts = [decode_charset(b"".join(octets), charset.decode("latin-1")) for charset, octets in _runs(value)]
    return clean_value("".join(texts))


def _runs(value: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The octets of words in a row that share a charset, and of what is between words (charset b"")."""
    pieces = _WORD.split(value)
    runs = [(b"", [pieces[0]])]
    for name, encoding, text, after in zip(pieces[1::4], pieces[2::4], pieces[3::4], pieces[4::4], strict=True):
        charset = name.lower()
        if runs[-1][0] != charset:
            runs.append((charset, []))
        runs[-1][1].append(_decode_word(encoding, text))
        if after and not after.isspace():  # space between words is not shown (RFC 2047 §6.2)
            runs.append((b"", [after]))
    return runs


def _decode_word(encoding: bytes, text: bytes) -> bytes:
    return decode_base64(text) if encoding in b"Bb" else binascii.a2b_qp(text, header=True)
