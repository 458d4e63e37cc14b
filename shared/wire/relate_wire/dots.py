"""Dot-stuffing of content that ends with a line of one dot: encoder and decoder (RFC 5321 §4.5.2, RFC 1939 §3).

Only CRLF.CRLF ends content. A bare LF or CR is no line end, because a receiver that accepts them as such can be made
to see a second message inside the first (SMTP smuggling). They are left in the content and reported.
"""

import re
from io import IncrementalNewlineDecoder

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.lines import LineFault

END = b"\r\n.\r\n"
PARTIAL_ENDS = tuple(END[:length] for length in range(len(END) - 1, 0, -1))  # the longest first

_DOT_LINE = re.compile(rb"\r\n\.")  # twice as fast as bytes.find with so short a needle
_FAULTS = re.compile(rb"(?<!\r)(?P<BARE_LF>\n)|(?P<BARE_CR>\r)(?!\n)")


class DotDecoder:
    """Decodes received content, up to and including its final dot.

    `limit` is in octets of content. Content beyond it is counted to its end, but discarded. `held` buffers the content,
    by default in an unlimited budget.
    """

    def __init__(self, limit: int, held: HeldContent | None = None) -> None:
        self.limit = limit
        self.size = 0
        """Octets of content so far, without stuffed dots; also counts those beyond the limit."""
        self.done = False
        """The final dot was received."""
        self.fault: LineFault | None = None
        """The first bare LF or bare CR of the content."""
        self._content = held if held is not None else ContentBudget.unlimited().hold("")
        # Decode as if a CRLF preceded the content, so that the first line needs no special case.
        self._pending = b"\r\n"
        self._synthetic = len(self._pending)  # octets to cut off again

    @property
    def too_large(self) -> bool:
        """Whether the content exceeds the limit."""
        return self.size > self.limit

    def feed(self, data: bytes) -> int:
        """Decode the next octets; returns how many were consumed, fewer than given only after the final dot."""
        if self.done:
            return 0
        block = self._pending + data
        found = _DOT_LINE.search(block)
        dot = found.end() - 1 if found else len(block)
        end = block.find(END, dot - 2)
        if end >= 0:
            self.done = True
            self._accept(block[: end + 2], dot)
            return end + len(END) - len(self._pending)
        self._pending = partial_end(block)
        self._accept(block[: len(block) - len(self._pending)], dot)
        return len(data)

    def _accept(self, block: bytes, dot: int) -> None:
        """Store a block that is cut neither within a CRLF nor before a stuffed dot; the first of those is at `dot`."""
        if not block:
            return
        self.fault = self.fault or find_fault(block)
        if dot < len(block):
            block = block.replace(b"\r\n.", b"\r\n")
        block = block[self._synthetic :]
        self._synthetic = 0
        self.size += len(block)
        if self.too_large:
            self._content.release()
        else:
            self._content.write(block)

    def content(self) -> bytes:
        """Return the content with its last CRLF; empty if it was too large. Call once, when done."""
        return self._content.take_one()


def partial_end(block: bytes) -> bytes:
    """Return the end of `block` that may be the beginning of CRLF.CRLF."""
    for partial in PARTIAL_ENDS:
        if block.endswith(partial):
            return partial
    return b""


class LineEndScanner:
    """Finds bare CR and LF in content that arrives in blocks, which may be cut anywhere."""

    def __init__(self) -> None:
        self._fault: LineFault | None = None
        self._cr = b""  # the last octet, if an LF may follow

    def feed(self, block: bytes) -> None:
        """Scan the next block."""
        if self._fault is not None:
            return
        block = self._cr + block
        self._cr = b"\r" if block.endswith(b"\r") else b""
        self._fault = find_fault(block.removesuffix(b"\r"))

    def finish(self) -> LineFault | None:
        """Return the first bare LF or bare CR of all blocks."""
        return self._fault or (LineFault.BARE_CR if self._cr else None)


def find_fault(block: bytes) -> LineFault | None:
    """Return the first bare LF or bare CR of a block that does not begin or end within a CRLF."""
    newlines = IncrementalNewlineDecoder(None, translate=False)  # the one pass in C that tells CRLF from CR and LF
    newlines.decode(block.decode("latin-1"), final=True)
    if newlines.newlines in (None, "\r\n"):
        return None
    found = _FAULTS.search(block)
    return LineFault[found.lastgroup] if found and found.lastgroup else None


class DotEncoder:
    """Dot-stuffs content, chunk by chunk. Changes nothing but dots that follow CRLF."""

    def __init__(self) -> None:
        self._last_two = b"\r\n"  # as if a CRLF preceded, because a dot may be the first octet

    def encode(self, chunk: bytes) -> bytes:
        """Dot-stuff the next chunk, which is returned itself if nothing changes; chunks may be cut anywhere."""
        before = self._last_two
        self._last_two = (before + chunk[-2:])[-2:]
        if b"\r\n." not in before + chunk[:2] and _DOT_LINE.search(chunk) is None:
            return chunk
        return (before + chunk).replace(b"\r\n.", b"\r\n..")[2:]

    def finish(self) -> bytes:
        """Return the final dot, after a CRLF if the content lacks one."""
        return b".\r\n" if self._last_two == b"\r\n" else END
