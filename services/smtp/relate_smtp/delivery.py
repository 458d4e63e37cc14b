"""From an envelope and its content to what the store is given.

The content is kept as it came, octet for octet, but for one thing: a submission loses its Bcc fields, of which nobody
but the envelope is to know (RFC 5322 §3.6.3).
"""

import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import NamedTuple

from relate_accounts.types import Recipient
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_smtp.commands import Mail, Rcpt
from relate_smtp.framing import Content, bare_line_end

# RFC 5321 §6.3: "a large rejection threshold, normally at least 100"; Postfix gives up at 50.
MAX_HOPS = 100

# Real headers stay below 100 KiB. What is beyond this counts as body, so that no content makes looking at it long work.
MAX_HEADER = 1024 * 1024

_BCC = re.compile(rb"^(?:Resent-)?Bcc[ \t]*:.*\n?(?:[ \t].*\n?)*", re.IGNORECASE | re.MULTILINE)

# The name's case is the writer's, the value's is not (W3C Trace Context §3.2).
_TRACEPARENT = re.compile(rb"^(?i:traceparent)[ \t]*:[ \t]*([0-9a-f-]{55})[ \t]*\r$", re.MULTILINE)


class Accepted(NamedTuple):
    """A recipient that was answered with 250: as the client said it, and whose mail it is."""

    rcpt: Rcpt
    recipient: Recipient


@dataclass(slots=True)
class Envelope:
    """One mail transaction so far (RFC 5321 §3.3), with the octets that BDAT brought."""

    mail: Mail
    recipients: list[Accepted] = field(default_factory=list)
    _chunks: BytesIO = field(default_factory=BytesIO)  # as one: millions of small ones would be many times their size

    @property
    def is_binary(self) -> bool:
        """Whether the content may be any octets, not only lines (RFC 3030 §3)."""
        return self.mail.body == "BINARYMIME"

    @property
    def has_several_accounts(self) -> bool:
        """Whether the recipients are more than one account, however many addresses name it."""
        return len({accepted.recipient.user_id for accepted in self.recipients}) > 1

    @property
    def size(self) -> int:
        """Octets in all chunks."""
        return self._chunks.tell()

    def append(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._chunks.write(chunk)

    def assemble(self) -> Content:
        """All chunks as one content. A text whose last line has no end gets one: DATA could not have done without."""
        content = self._chunks.getvalue()
        if self.is_binary:
            return Content(content)
        if content and not content.endswith(b"\r\n"):
            content += b"\r\n"
        return Content(content, bare_line_end(content))


def prepare_delivery(envelope: Envelope, message: bytes) -> Delivery:
    """What the store is given: the message, and each account once, even if it was named by two addresses."""
    quotas = {accepted.recipient.user_id: accepted.recipient.quota for accepted in envelope.recipients}
    return Delivery(message, tuple([Destination(AccountId(user), quota=quota) for user, quota in quotas.items()]))


def has_looped(content: bytes) -> bool:
    """Whether a message has passed more servers than any way has (RFC 5321 §6.3)."""
    return (b"\n" + _header(content).lower()).count(b"\nreceived:") > MAX_HOPS


def find_traceparent(content: bytes) -> str | None:
    """What the program that wrote a message was doing: the first `traceparent` field that could be one, if any."""
    header = _header(content)
    match = _TRACEPARENT.search(header) if b"traceparent" in header.lower() else None
    return match and match[1].decode()


def without_bcc(content: bytes) -> bytes:
    """A message without its Bcc and Resent-Bcc fields; nothing else is changed."""
    header = _header(content)
    if b"bcc" not in header.lower():
        return content
    return _BCC.sub(b"", header) + content[len(header) :]


def _header(content: bytes) -> bytes:
    """The header section, up to and with the CRLF of its last field."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n", 0, MAX_HEADER)
    return content[:MAX_HEADER] if end < 0 else content[: end + 2]
