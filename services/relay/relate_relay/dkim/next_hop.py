"""What a message must become for its next hop, before it is signed: what is signed must be what is received. Pure.

Content that the server cannot take is encoded, whether for its octets above 127 or because no server without BINARYMIME
can take it: lines of more than 998 octets, NUL, a bare CR or LF. In a header, display names and texts are encoded, and
domains become A-labels; a local part that is not ASCII has no other form, and is refused (RFC 6530 §8). The Return-Path
that this server has put in front is not sent: the server that delivers a message adds it (RFC 5321 §4.4).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from relate_mime.fields import header_end
from relate_mime.scan import scan
from relate_relay.dkim.conversion import Conversion, Refusal, Refused, Slice, apply_edits
from relate_relay.dkim.data import BLOCK_OCTETS, Data, classify

__all__ = ["Prepared", "Refusal", "prepare"]

_RETURN_PATH = re.compile(rb"Return-Path: <[^\r\n]*+\r\n(?![ \t])")  # as this system writes it: in one line


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message as it is sent, but for the signature in front. `header` ends with its blank line.

    `needs_8bit` and `needs_utf8`: MAIL needs BODY=8BITMIME, or SMTPUTF8 because of a header. `size` is in octets.
    """

    header: bytes = field(repr=False)
    needs_8bit: bool
    needs_utf8: bool
    size: int
    _slices: Sequence[Slice] = field(repr=False)

    def body(self) -> Iterator[bytes]:
        """The body, in chunks of at most BLOCK_OCTETS."""
        return _chunks(self._slices)


def prepare(raw: bytes, *, eight_bit_mime: bool, smtputf8: bool) -> Prepared | Refusal:
    """Prepare a message for a server with or without 8BITMIME and SMTPUTF8; a refusal is permanent.

    It takes time linear in the message, and refers to the octets that it does not change.
    """
    # RFC 6531 §3.1 (8): a server with SMTPUTF8 has 8BITMIME.
    conversion = Conversion(raw, eight_bit_mime=eight_bit_mime, smtputf8=smtputf8 and eight_bit_mime)
    return_path = _RETURN_PATH.match(raw)
    header, body = return_path.end() if return_path else 0, header_end(raw, 0, len(raw))
    if classify(raw, header, len(raw)) is Data.SEVEN_BIT:
        conversion.close_header(header, body, depth=0)
    else:
        try:
            conversion.convert(replace(scan(raw), header=header))
        except Refused as refused:
            return refused.refusal
    pieces = apply_edits(raw, header, body, conversion.header_edits)
    sent_header = b"".join(octets[start:stop] for octets, start, stop in pieces)
    slices = apply_edits(raw, body, len(raw), conversion.edits)
    return Prepared(
        sent_header,
        needs_8bit=not (sent_header.isascii() and all(chunk.isascii() for chunk in _chunks(slices))),
        needs_utf8=conversion.needs_utf8,
        size=len(sent_header) + sum(piece.stop - piece.start for piece in slices),
        _slices=slices,
    )


def _chunks(slices: Sequence[Slice]) -> Iterator[bytes]:
    for octets, start, stop in slices:
        for begin in range(start, stop, BLOCK_OCTETS):
            yield octets[begin : min(begin + BLOCK_OCTETS, stop)]
