r"""Writes messages as mboxrd (RFC 4155, with quoting that is reversible): a line `>*From ` gets one more `>`.

Lines end in LF, so that bare LF cannot be told from CRLF, and a last line gets a line ending if it has none.
"""

import re
import time

_TO_QUOTE = re.compile(rb"(?m)^(>*+From )")
_FROM = b"From"


def mbox_separator(received: int) -> bytes:
    """The line before a message. `received` is in seconds since the epoch."""
    return b"From MAILER-DAEMON %s\n" % time.asctime(time.gmtime(received)).encode("ascii")


class MboxEncoder:
    """Encodes one message that arrives in pieces; the result does not depend on how it is cut."""

    def __init__(self) -> None:
        self._held = b""  # at the end of the last piece: CR, or the beginning of "From "
        self._quotable = True  # nothing but ">" since the beginning of the line
        self._ends_line = False

    def encode(self, octets: bytes) -> bytes:
        """The octets that no further piece can change."""
        text = self._held + octets
        self._held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(b"\r").replace(b"\r\n", b"\n")
        begins = self._quotable
        if b"\n" in text:
            self._quotable = True
        if self._quotable and (word := text[text.rfind(b"\n") + 1 :].lstrip(b">")):
            if self._held or not _FROM.startswith(word):
                self._quotable = False
            else:
                text, self._held = text.removesuffix(word), word
        self._ends_line = text.endswith(b"\n") if text else self._ends_line
        return _TO_QUOTE.sub(rb">\1", text) if begins else _TO_QUOTE.sub(rb">\1", b"\0" + text)[1:]

    def finish(self) -> bytes:
        """The rest of the message, and the empty line after it."""
        rest, self._held = self._held, b""
        return rest + (b"\n" if self._ends_line and not rest else b"\n\n")
