"""The index of a message, and the values in it."""

from dataclasses import dataclass
from typing import NamedTuple


class Address(NamedTuple):
    """One address of a header field, decoded (RFC 2047)."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME part as octet offsets into the raw message: header [header, body), content [body, end).

    `section` is IMAP's part specifier ("1.2"); "" is the message itself, "3." the message embedded in part "3".
    """

    section: str
    header: int
    body: int
    end: int
    media_type: str  # "text/plain", lower case
    encoding: str  # "base64", lower case; "7bit" when absent
    charset: str
    filename: str
    attachment: bool


@dataclass(frozen=True, slots=True)
class MessageIndex:
    """What clients request often, computed once at delivery by `index_message`.

    `envelope` and `bodystructure` are encoded as in RFC 9051 §7.5.2; the rest is decoded text for lists and SEARCH.
    """

    size: int
    envelope: bytes
    bodystructure: bytes
    parts: tuple[Part, ...]
    subject: str
    sender: Address  # the first of From, or of Sender if From is missing
    senders: tuple[Address, ...]  # all of From
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    date: int | None  # seconds since the epoch, from Date:
    zone: int  # minutes east of Greenwich, from Date:
    header_message_id: str  # the Message-ID field without angle brackets; "" if missing
    references: tuple[str, ...]  # msg-ids of References and In-Reply-To, oldest first
    preview: str  # the first readable text, at most 256 characters (RFC 8970)

    @property
    def attachments(self) -> int:
        """The number of parts that are attachments."""
        return sum(part.attachment for part in self.parts)
