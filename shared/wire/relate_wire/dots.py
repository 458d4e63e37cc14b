"""Content between a command and its final dot: dot-stuffing both ways (RFC 5321 §4.5.2, RFC 1939 §3).

Only CRLF.CRLF ends content. A bare LF or CR ends nothing, not even a line: whoever reads them as line ends can be
made to see a second message inside the first (SMTP smuggling). They are kept as they are, and reported.
"""

import re
from io import IncrementalNewlineDecoder

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.lines import LineFault

END = b"\r\n.\r\n"
PARTIAL_ENDS = tuple(END[:length] for length in range(len(END) - 1, 0, -1))  # the longest first

_DOT_LINE = re.compile(rb"\r\n\.")  # twice as fast as bytes.find, which has nothing to skip by in so short a string
_FAULTS = re.compile(rb"(?<!\r)(?P<BARE_LF>\n)|(?P<BARE_CR>\r)(?!\n)")


class DotDecoder:
    """Takes content off the wire, up to and including its final dot.

    `limit` is in octets of content. Content that grows beyond it is counted to its end but not kept. `held` keeps the
    rest, by default in a budget of its own.
    """

    def __init__(self, limit: int, held: HeldContent | None = None) -> None:
        self.limit = limit
        self.size = 0
        """Octets of content so far, without the dots that were stuffed; it counts on beyond the limit."""
        self.done = False
        """The final dot has come."""
        self.fault: LineFault | None = None
        """The first bare LF or bare CR of the content."""
        self._content = held if held is not None else ContentBudget.unlimited().hold("")
        # The content is decoded as if a CRLF came before it: then its first line begins as every other line does.
        self._held = b"\r\n"
        self._unsent = len(self._held)

    @property
    def too_large(self) -> bool:
        """Whether there was more content than the limit allows."""
        return self.size > self.limit

    def feed(self, data: bytes) -> int:
        """Take the next octets; how many of them were used. What follows the final dot is left to the caller."""
        if self.done:
            return 0
        block = self._held + data
        found = _DOT_LINE.search(block)
        dot = found.end() - 1 if found else len(block)
        end = block.find(END, dot - 2)
        if end >= 0:
            self.done = True
            self._accept(block[: end + 2], dot)
            return end + len(END) - len(self._held)
        self._held = partial_end(block)
        self._accept(block[: len(block) - len(self._held)], dot)
        return len(data)

    def _accept(self, block: bytes, dot: int) -> None:
        """Keep a block that is cut neither within a CRLF nor before a stuffed dot; the first of those is at `dot`."""
        if not block:
            return
        self.fault = self.fault or find_fault(block)
        if dot < len(block):
            block = block.replace(b"\r\n.", b"\r\n")
        block = block[self._unsent :]
        self._unsent = 0
        self.size += len(block)
        if self.too_large:
            self._content.release()
        else:
            self._content.write(block)

    def content(self) -> bytes:
        """The content, its last CRLF included; empty when it was too large. To be called once, when done."""
        return self._content.take_one()


def partial_end(block: bytes) -> bytes:
    """The last octets of `block` that may turn out to be the first of CRLF.CRLF."""
    for partial in PARTIAL_ENDS:
        if block.endswith(partial):
            return partial
    return b""


class LineEndScanner:
    """Looks for bare line ends in content that comes in blocks, which may be cut anywhere."""

    def __init__(self) -> None:
        self._fault: LineFault | None = None
        self._cr = b""  # the last octet, where an LF may follow

    def feed(self, block: bytes) -> None:
        """Look at the next block."""
        if self._fault is not None:
            return
        block = self._cr + block
        self._cr = b"\r" if block.endswith(b"\r") else b""
        self._fault = find_fault(block.removesuffix(b"\r"))

    def finish(self) -> LineFault | None:
        """The first bare LF or bare CR of all blocks."""
        return self._fault or (LineFault.BARE_CR if self._cr else None)


def find_fault(block: bytes) -> LineFault | None:
    """The first bare LF or bare CR of a block that does not begin or end within a CRLF."""
    newlines = IncrementalNewlineDecoder(None, translate=False)  # the one pass in C that tells CRLF from CR and LF
    newlines.decode(block.decode("latin-1"), final=True)
    if newlines.newlines in (None, "\r\n"):
        return None
    found = _FAULTS.search(block)
    return LineFault[found.lastgroup] if found and found.lastgroup else None


class DotEncoder:
    """Prepares content for the wire, chunk by chunk. Nothing but a dot that follows CRLF is changed."""

    def __init__(self) -> None:
        self._last_two = b"\r\n"  # as if a CRLF came before: a dot may be the first octet

    def encode(self, chunk: bytes) -> bytes:
        """The next chunk, dot-stuffed; chunks may be cut anywhere."""
        joined = self._last_two + chunk
        self._last_two = joined[-2:]
        return joined.replace(b"\r\n.", b"\r\n..")[2:] if _DOT_LINE.search(joined) else chunk

    def finish(self) -> bytes:
        """The final dot, after the CRLF that the content may lack."""
        return b".\r\n" if self._last_two == b"\r\n" else END
