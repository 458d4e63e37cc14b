"""xtext, the encoding of ENVID and ORCPT (RFC 3461 §4)."""

import re

# Each character that is not printable ASCII, or that the encoding itself uses.
_ENCODED = re.compile(r"[^!-*,-<>-~]")
_HEXADECIMAL = re.compile(r"\+([0-9A-F]{2})", re.IGNORECASE)


def encode_xtext(text: str) -> str:
    """Encode a text. Raises ValueError, because xtext can represent ASCII only."""
    if not text.isascii():
        raise ValueError("xtext can only represent ASCII")
    return _ENCODED.sub(lambda match: f"+{ord(match[0]):02X}", text)


def decode_xtext(xtext: str) -> str:
    """Decode xtext, also where it is malformed: a `+` without two hexadecimal digits stays as it is."""
    return _HEXADECIMAL.sub(lambda match: chr(int(match[1], 16)), xtext)
