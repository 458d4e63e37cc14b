"""IMAP strings (RFC 9051 §4.3, §4.5): quoted if possible, else a literal."""

import re

NIL = b"NIL"

_PLAIN = re.compile(rb"[ !#-\[\]-~]*+")
_NEEDS_LITERAL = re.compile(rb"[^\t -~]")  # control characters may be quoted, but some clients fail to parse them


def encode_string(octets: bytes) -> bytes:
    """A quoted string or a literal. NUL, which neither may contain, becomes a space."""
    if _PLAIN.fullmatch(octets):
        return b'"%b"' % octets
    if _NEEDS_LITERAL.search(octets):
        return b"{%d}\r\n%b" % (len(octets), octets.replace(b"\0", b" "))
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def encode_nstring(octets: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return NIL if octets is None else encode_string(octets)
