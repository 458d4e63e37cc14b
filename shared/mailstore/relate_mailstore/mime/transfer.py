"""Content-Transfer-Encoding (RFC 2045 §6): octets out, whatever came in."""

import binascii
from string import ascii_letters, digits

ENCODED = frozenset({"base64", "quoted-printable"})
"""The encodings that hide what they carry: a message/rfc822 inside one cannot be looked into by offsets."""

_ALPHABET = (ascii_letters + digits + "+/").encode()
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _ALPHABET)


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a transfer encoding; an unknown one is taken for none."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    return octets


def decode_base64(octets: bytes) -> bytes:
    """Base64 that may be cut off, wrongly padded or strewn with other characters (RFC 2045 §6.8 ignores them)."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        return _decode_damaged_base64(octets)


def _decode_damaged_base64(octets: bytes) -> bytes:
    characters = octets.partition(b"=")[0].translate(None, _NOT_BASE64)
    if len(characters) % 4 == 1:  # six bits alone are no octet
        characters = characters[:-1]
    return binascii.a2b_base64(characters + b"==")
