"""The body parts of a report, and the multipart that has them (RFC 2046 §5.1, RFC 6522)."""

import hashlib
from base64 import encodebytes
from collections.abc import Sequence
from typing import NamedTuple

MAX_LINE_OCTETS = 998
"""The longest line of a part that is not encoded, without CRLF (RFC 2045 §2.7, §2.8)."""


class BodyPart(NamedTuple):
    """A body part: its media type with parameters, its transfer encoding, and its encoded content."""

    media_type: str
    encoding: str
    content: bytes


def identity_part(media_type: str, content: bytes) -> BodyPart:
    """A part whose content is not encoded: `7bit` or `8bit`. `has_valid_lines` must be true of the content."""
    return BodyPart(media_type, "7bit" if content.isascii() else "8bit", content)


def base64_part(media_type: str, content: bytes) -> BodyPart:
    """A part of any octets, which no other encoding preserves exactly."""
    return BodyPart(media_type, "base64", encodebytes(content).replace(b"\n", b"\r\n"))


def has_valid_lines(content: bytes) -> bool:
    """Whether content may stay without an encoding: no NUL, no bare CR or LF, no line of more than MAX_LINE_OCTETS."""
    lines = content.split(b"\r\n")
    if len(max(lines, key=len)) > MAX_LINE_OCTETS:
        return False
    return content.count(b"\n") == content.count(b"\r") == len(lines) - 1 and b"\0" not in content


def encode_report(parts: Sequence[BodyPart]) -> bytes:
    """The MIME fields and the body of a multipart/report about a delivery (RFC 3464 §2)."""
    boundary = _boundary(parts)
    octets = [
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="%b"\r\n' % boundary,
    ]
    for part in parts:
        head = f"Content-Type: {part.media_type}\r\nContent-Transfer-Encoding: {part.encoding}\r\n\r\n"
        octets += [b"\r\n--%b\r\n" % boundary, head.encode(), part.content]
    return b"".join([*octets, b"\r\n--%b--\r\n" % boundary])


def _boundary(parts: Sequence[BodyPart]) -> bytes:
    # No part can contain the digest of all parts, and "=_" cannot occur in base64 (RFC 2045 §6.7).
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.content)
    return b"=_" + digest.hexdigest()[:40].encode()
