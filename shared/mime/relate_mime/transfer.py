"""Decode Content-Transfer-Encodings (RFC 2045 §6); malformed input never raises."""

import binascii
import re
from string import ascii_letters, digits

ENCODED = frozenset({"base64", "quoted-printable"})
"""Encodings under which the parts of a message/rfc822 have no offsets in the raw message."""

_BLOCK_OCTETS = 32_768
"""Quoted-printable decoded per call, which holds the GIL."""

_ALPHABET = (ascii_letters + digits + "+/").encode()
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _ALPHABET)

# Matches only at the start of a run of white space: trying each octet of a long run would be quadratic.
_WHITE_SPACE_AT_LINE_END = re.compile(rb"[ \t](?<![ \t][ \t])[ \t]*+(?=\r?\n)")


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Decode a transfer encoding; return the octets of an unknown one unchanged."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return decode_quoted_printable(octets)
    return octets


def decode_quoted_printable(octets: bytes) -> bytes:
    """Decode quoted-printable; a "=" that encodes nothing stays (RFC 2045 §6.7)."""
    decoder = QuotedPrintableDecoder()
    return b"".join([decoder.decode(octets), decoder.finish()])


class QuotedPrintableDecoder:
    """An incremental decoder; the result does not depend on how the input is split."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # white space and incomplete codes at the end

    def decode(self, octets: bytes) -> bytes:
        """The decoded octets that no further input can change."""
        blocks = (octets[start : start + _BLOCK_OCTETS] for start in range(0, len(octets), _BLOCK_OCTETS))
        return b"".join([self._decode_block(block) for block in blocks])

    def finish(self) -> bytes:
        """Decode the pending octets, without white space at the end."""
        rest = b"".join(self._pending)
        self._pending.clear()
        line = rest.removesuffix(b"\r").rstrip(b" \t")
        if line.endswith(b"="):  # a truncated soft line break
            return _decode_lines(line[:-1])
        return _decode_lines(line) + (b"\r" if rest.endswith(b"\r") else b"")

    def _decode_block(self, block: bytes) -> bytes:
        if not block.strip(b" \t\r"):  # join a long run of white space once, not per block
            self._pending.append(block)
            return b""
        block = b"".join([*self._pending, block])
        end = _final_prefix(block)
        self._pending = [block[end:]]
        return _decode_lines(block[:end])


def _final_prefix(block: bytes) -> int:
    """The length of the prefix that no further input can change. A "=" at its end encodes nothing."""
    end = len(block.rstrip(b"\r").rstrip(b" \t"))
    if block.endswith(b"=", 0, end):
        return end - 1
    return end - 2 if end == len(block) and block[end - 2 : end - 1] == b"=" else end


def _decode_lines(octets: bytes) -> bytes:
    octets = _encode_stray(octets)
    if b" \r" in octets or b" \n" in octets or b"\t\r" in octets or b"\t\n" in octets:
        octets = _WHITE_SPACE_AT_LINE_END.sub(b"", octets)  # RFC 2045 §6.7 (3), and (5): padding after "="
    return binascii.a2b_qp(octets)


def _encode_stray(octets: bytes) -> bytes:
    """Encode each "=" that binascii would drop: before another "=", before a bare CR, at the end."""
    if b"=\r" in octets:
        octets = octets.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=3D\r")
    if b"==" in octets:
        octets = octets.replace(b"==", b"=3D=").replace(b"==", b"=3D=")  # twice, for overlapping matches
    return octets + b"3D" if octets.endswith(b"=") else octets


def decode_base64(octets: bytes) -> bytes:
    """Decode base64 that may be truncated, wrongly padded or mixed with other characters (RFC 2045 §6.8)."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        return _decode_damaged_base64(octets)


def _decode_damaged_base64(octets: bytes) -> bytes:
    characters = octets.partition(b"=")[0].translate(None, _NOT_BASE64)
    if len(characters) % 4 == 1:  # six bits are no octet
        characters = characters[:-1]
    return binascii.a2b_base64(characters + b"==")
