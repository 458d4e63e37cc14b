"""The mail model: immutable values, known to every protocol and to none in particular.

A raw message is a blob, written once and kept byte for byte. An account that received it has one `Message` (the
blob's id and the index computed at delivery), entered into one or more mailboxes. An `Entry` is what IMAP calls a
message in a mailbox: a UID, flags, a modification sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from functools import cached_property
from itertools import chain
from typing import NamedTuple, NewType
from uuid import UUID

from relate_mailstore.entry_list import EntryList
from relate_mailstore.keywords import one_spelling

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
MessageId = NewType("MessageId", UUID)  # UUIDv7: the blob's id, EMAILID of RFC 8474, the id in the REST API

INBOX = "INBOX"


class Flag(IntFlag):
    """The system flags (RFC 9051 §2.3.2). Entries hold them as plain ints, cheap to copy and compare."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


class Address(NamedTuple):
    """One address of a header field, decoded (RFC 2047)."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Part:
    """Where one MIME part lies in the raw message: offsets in octets.

    `section` is IMAP's part specifier ("1.2"); "" is the message itself, and "3." the message inside the part "3".
    Header: [header, body); content: [body, end).
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
    """Everything that is asked for again and again, computed once at delivery by `mime.index_message`.

    `envelope` and `bodystructure` are rendered as in RFC 9051 §7.5.2; the rest is decoded text for lists and search.
    """

    size: int
    envelope: bytes
    bodystructure: bytes
    parts: tuple[Part, ...]
    subject: str
    sender: Address  # the first of From, or of Sender where there is none
    senders: tuple[Address, ...]  # all of From
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    date: int | None  # seconds since the epoch, from Date:
    zone: int  # minutes east of Greenwich, from Date:
    message_id: str  # the header's, without angle brackets; "" when missing
    references: tuple[str, ...]  # ids of References and In-Reply-To, oldest first
    preview: str  # the first readable text, at most 256 characters (RFC 8970)

    @property
    def attachments(self) -> int:
        """How many parts are attachments."""
        return sum(part.attachment for part in self.parts)


class Entry(NamedTuple):
    """One message in one mailbox."""

    uid: int
    message_id: MessageId
    size: int  # octets of the raw message
    flags: int  # Flag bits
    keywords: tuple[str, ...]  # sorted; labels of the API
    internal_date: int  # seconds since the epoch
    modseq: int
    saved: int  # seconds since the epoch: when it was entered into this mailbox (RFC 8514)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an account. UIDVALIDITY is stored at creation and never taken from a clock later."""

    id: MailboxId
    account_id: AccountId
    name: str
    uid_validity: int
    uid_next: int
    highest_modseq: int
    special_use: str  # "\\Sent", "" for none (RFC 6154)
    messages: int
    octets: int
    recent: int  # the first UID that no session was told of: messages from there on are \Recent


@dataclass(frozen=True)
class Snapshot:
    """A mailbox and its entries, in UID order, as of `mailbox.highest_modseq`. Shared: never changed in place."""

    mailbox: Mailbox
    entries: EntryList

    @cached_property
    def keywords(self) -> Sequence[str]:
        """All keywords in use, in order, each in one spelling."""
        return one_spelling(sorted(set(chain.from_iterable({entry.keywords for entry in self.entries}))))

    @cached_property
    def first_unseen(self) -> int:
        """The number of the first entry that is not seen, counted from 1; 0 if all are."""
        seen = int(Flag.SEEN)
        return next((number for number, entry in enumerate(self.entries, 1) if not entry.flags & seen), 0)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as an account has it. `origin` is the traceparent of the transaction that delivered it."""

    id: MessageId
    account_id: AccountId
    index: MessageIndex
    received: int  # seconds since the epoch
    origin: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """Into which mailbox of which account a delivery goes, and with which flags.

    `quota`: octets that the account may hold with it; None for no limit.
    """

    account_id: AccountId
    mailbox: str = INBOX
    flags: int = 0
    keywords: tuple[str, ...] = ()
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to be stored once and entered for each destination, all or none.

    `raw` is complete: trace header fields included. `origin` is filled in by the traced decorator.
    """

    raw: bytes
    destinations: tuple[Destination, ...]
    internal_date: int | None = None  # seconds since the epoch; None = now
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery that is durable: committed and flushed. `entered` holds (uid_validity, uid) per destination.

    Deliveries that arrive together share a commit: `batch` says how many, `leader` is the origin of the first of them,
    in whose trace the statements are found.
    """

    message_id: MessageId
    entered: tuple[tuple[int, int], ...]
    batch: int = 1
    leader: str | None = None


class MailboxNotice(NamedTuple):
    """A notice that a mailbox changed: what to look at, not what it is. `origin` is a traceparent."""

    account_id: AccountId
    mailbox_id: MailboxId
    modseq: int
    origin: str | None = None
    committed: float = 0.0  # seconds since the epoch, as the process that committed it saw them


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which messages a list asks for; None or empty means "any". Text matches are case-insensitive substrings."""

    mailbox: str | None = INBOX
    text: str = ""  # in sender, recipients, subject or preview
    since: int | None = None  # received at or after, seconds since the epoch
    before: int | None = None
    seen: bool | None = None
    has_attachments: bool | None = None
    keyword: str | None = None
    cursor: str | None = None  # `Page.next_cursor` of the page before
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list: the message, and its flags over all mailboxes it is entered in."""

    message: Message
    flags: int
    keywords: tuple[str, ...]
    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first. `next_cursor` is None on the last page."""

    items: tuple[Listed, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Flags and keywords to add and to remove; removing wins over nothing, adding over removing."""

    add: int = 0
    remove: int = 0
    add_keywords: tuple[str, ...] = field(default=())
    remove_keywords: tuple[str, ...] = field(default=())
    replace: bool = False  # what is not added is removed, keywords too


@dataclass(frozen=True, slots=True)
class Flagged:
    """What became of a change of flags: the entries as they are now, in UID order, vanished UIDs left out.

    `modified` are the UIDs left as they were, as they had changed since the modseq that the caller knew (RFC 7162).
    """

    entries: tuple[Entry, ...]
    modified: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message to be put into a mailbox by its owner (APPEND). `origin` is filled in by the traced decorator."""

    raw: bytes
    flags: int = 0
    keywords: tuple[str, ...] = ()
    internal_date: int | None = None  # seconds since the epoch; None = now
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """Where messages were put: the mailbox's UIDVALIDITY, and their UIDs in the order given."""

    uid_validity: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied or moved: the target's UIDVALIDITY, and (source, target) UIDs ascending; vanished ones left out.

    `origins` are the traceparents of the transactions that delivered these messages, at most 32.
    """

    uid_validity: int
    uids: tuple[tuple[int, int], ...]
    origins: tuple[str, ...] = ()


class Rendering(NamedTuple):
    """What FETCH answers of a message without opening it."""

    envelope: bytes
    bodystructure: bytes
    preview: str
    thread: str  # the same for all messages of a conversation: see `rules.thread_id`
    origin: str | None


class Summary(NamedTuple):
    """What SEARCH, SORT and THREAD look at: decoded header fields, with their case folded where they are text.

    An address field is one text, "name <address>" after "name <address>", separated by ", ".
    """

    subject: str
    sender: str  # all of From
    to: str
    cc: str
    bcc: str
    date: int | None  # seconds since the epoch, from Date:
    zone: int  # minutes east of Greenwich, from Date: (SENTON looks at the date as it was written)
    message_id: str
    references: tuple[str, ...]
    thread: str


class TextPart(Enum):
    """Where a text is looked for."""

    BODY = "body"  # in the readable parts, decoded
    ANYWHERE = "anywhere"  # in the header too
