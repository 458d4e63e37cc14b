"""POP3's framing: the length limits of its lines, and multi-line responses (RFC 1939 §3)."""

from collections.abc import Iterable

from relate_wire.lines import LineFramer

# RFC 2449 §4 requires 255. UTF-8 names (RFC 6856) and an initial response with a long address and key are longer.
MAX_COMMAND_OCTETS = 1024


def pop3_framer() -> LineFramer:
    """A framer of command lines, and of the longer lines of SASL responses."""
    return LineFramer(MAX_COMMAND_OCTETS)


def encode_lines(lines: Iterable[str]) -> bytes:
    """The lines of a multi-line response and its terminator. No line begins with a dot, so none is stuffed."""
    return "\r\n".join([*lines, ".", ""]).encode()
