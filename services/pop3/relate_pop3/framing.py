"""How POP3 cuts octets into lines: the limits of what comes in, and multi-line responses (RFC 1939 §3)."""

from collections.abc import Iterable

from relate_wire.lines import LineFramer

# RFC 2449 §4 asks for 255, RFC 6856 allows UTF-8 in names; an initial response with a long address and key fits too.
MAX_COMMAND = 1024


def pop3_framer() -> LineFramer:
    """Lines, and the longer lines of SASL responses."""
    return LineFramer(MAX_COMMAND)


def encode_lines(lines: Iterable[str]) -> bytes:
    """The lines of a multi-line response and its end. None of ours begins with a dot."""
    return "\r\n".join([*lines, ".", ""]).encode()
