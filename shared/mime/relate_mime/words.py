"""Decode encoded words (RFC 2047, with the language of RFC 2231 §5) in header values.

Tolerant: accepts words in quoted strings, spaces in words, and characters split over two words.
"""

import binascii
import re

from relate_mime.charsets import clean_value, decode_charset, decode_unlabelled
from relate_mime.fields import unfold
from relate_mime.transfer import decode_base64

VALUE_LIMIT_OCTETS = 65_536
"""Octets of a value that are decoded: more than MAX_TEXT_CHARACTERS need as encoded words."""

_WORD = re.compile(rb"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?([^?]*)\?=")


def decode_header(value: bytes) -> str:
    """Unfold and decode an unstructured value; 8-bit octets are UTF-8, else Latin-1."""
    return decode_words(unfold(value[:VALUE_LIMIT_OCTETS]))


def decode_words(value: bytes) -> str:
    """Decode an unfolded value or a phrase."""
    value = value[:VALUE_LIMIT_OCTETS]
    if b"=?" not in value:
        return clean_value(decode_unlabelled(value))
    texts = [decode_charset(b"".join(octets), charset.decode("latin-1")) for charset, octets in _runs(value)]
    return clean_value("".join(texts))


def _runs(value: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The octets of adjacent words with the same charset, and the octets between words (charset b"")."""
    pieces = _WORD.split(value)
    runs = [(b"", [pieces[0]])]
    for name, encoding, text, after in zip(pieces[1::4], pieces[2::4], pieces[3::4], pieces[4::4], strict=True):
        charset = name.lower()
        if runs[-1][0] != charset:
            runs.append((charset, []))
        runs[-1][1].append(_decode_word(encoding, text))
        if after and not after.isspace():  # space between words is ignored (RFC 2047 §6.2)
            runs.append((b"", [after]))
    return runs


def _decode_word(encoding: bytes, text: bytes) -> bytes:
    return decode_base64(text) if encoding in b"Bb" else binascii.a2b_qp(text, header=True)
