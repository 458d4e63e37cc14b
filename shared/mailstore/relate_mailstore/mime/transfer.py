"""Content-Transfer-Encoding (RFC 2045 §6): octets out, whatever came in."""

import binascii
import re
from string import ascii_letters, digits

ENCODED = frozenset({"base64", "quoted-printable"})
"""The encodings that hide what they carry: a message/rfc822 inside one cannot be looked into by offsets."""

_BLOCK_OCTETS = 32_768
"""Octets of quoted-printable that are decoded at once: the interpreter is held meanwhile."""

_ALPHABET = (ascii_letters + digits + "+/").encode()
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _ALPHABET)

# Looked for only where a run of white space begins: a long one, tried from each of its octets, would be quadratic.
_WHITE_SPACE_AT_LINE_END = re.compile(rb"[ \t](?<![ \t][ \t])[ \t]*+(?=\r?\n)")


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a transfer encoding; an unknown one is taken for none."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return decode_quoted_printable(octets)
    return octets


def decode_quoted_printable(octets: bytes) -> bytes:
    """Quoted-printable; a "=" that encodes nothing stays (RFC 2045 §6.7)."""
    decoder = QuotedPrintableDecoder()
    return b"".join([decoder.decode(octets), decoder.finish()])


class QuotedPrintableDecoder:
    """Quoted-printable that comes in pieces: where they are cut makes no difference."""

    def __init__(self) -> None:
        self._held: list[bytes] = []  # white space and the beginnings of codes: what they are the next octets say

    def decode(self, octets: bytes) -> bytes:
        """What is certain after these octets."""
        blocks = (octets[start : start + _BLOCK_OCTETS] for start in range(0, len(octets), _BLOCK_OCTETS))
        return b"".join([self._decode_block(block) for block in blocks])

    def finish(self) -> bytes:
        """What is left at the end: white space is deleted there, as at the end of a line."""
        rest = b"".join(self._held)
        self._held.clear()
        line = rest.removesuffix(b"\r").rstrip(b" \t")
        if line.endswith(b"="):  # a soft line break that is cut off
            return _decode_lines(line[:-1])
        return _decode_lines(line) + (b"\r" if rest.endswith(b"\r") else b"")

    def _decode_block(self, block: bytes) -> bytes:
        if not block.strip(b" \t\r"):  # a long run of white space is put together once, not again with each block
            self._held.append(block)
            return b""
        block = b"".join([*self._held, block])
        end = _certain(block)
        self._held = [block[end:]]
        return _decode_lines(block[:end])


def _certain(block: bytes) -> int:
    """How much of a block means the same whatever follows it. An "=" at its end encodes nothing."""
    end = len(block.rstrip(b"\r").rstrip(b" \t"))
    if block.endswith(b"=", 0, end):
        return end - 1
    return end - 2 if end == len(block) and block[end - 2 : end - 1] == b"=" else end


def _decode_lines(octets: bytes) -> bytes:
    octets = _encode_stray(octets)
    if b" \r" in octets or b" \n" in octets or b"\t\r" in octets or b"\t\n" in octets:
        octets = _WHITE_SPACE_AT_LINE_END.sub(b"", octets)  # RFC 2045 §6.7 (3), and so (5): padding after "="
    return binascii.a2b_qp(octets)


def _encode_stray(octets: bytes) -> bytes:
    """Encode each "=" that binascii would drop: before another, before a bare CR, at the end."""
    if b"=\r" in octets:
        octets = octets.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=3D\r")
    if b"==" in octets:
        octets = octets.replace(b"==", b"=3D=").replace(b"==", b"=3D=")  # twice, for what overlaps
    return octets + b"3D" if octets.endswith(b"=") else octets


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
