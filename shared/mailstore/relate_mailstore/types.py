"""The mail model: immutable values that all protocols share.

A raw message is a blob, written once and never changed. Each account that received it has one `Message` (the blob's id
and the index computed at delivery), which is entered in one or more mailboxes. An `Entry` is what IMAP calls a message
in a mailbox: a UID, flags, a modification sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from relate_mailstore.criteria import Criterion
from relate_mailstore.entry_columns import Entry
from relate_mailstore.entry_list import EntryList
from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import AccountId, MailboxId, MessageId, ModSeq, Uid
from relate_mailstore.keywords import one_spelling
from relate_mailstore.queue_types import Excess, Outgoing
from relate_mailstore.suppression_types import Suppression
from relate_mime import MessageIndex

__all__ = [
    "INBOX",
    "AccountId",
    "AnsweredRequest",
    "Appended",
    "AssignedUid",
    "Copied",
    "CopiedUid",
    "Delivery",
    "Destination",
    "Entry",
    "EntryList",
    "Flag",
    "FlagChange",
    "Flagged",
    "KeyedRequest",
    "ListedMessage",
    "Mailbox",
    "MailboxId",
    "MailboxNotice",
    "Message",
    "MessageCounts",
    "MessageId",
    "MessagePage",
    "MessageQuery",
    "MessageState",
    "ModSeq",
    "NewMessage",
    "Receipt",
    "Rendering",
    "Sending",
    "Snapshot",
    "Summary",
    "TextPart",
    "Uid",
]

INBOX = "INBOX"


class Flag(IntFlag):
    """The system flags (RFC 9051 §2.3.2). Entries hold them as plain ints, which are cheap to copy and compare."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox of an account. Its UIDVALIDITY never changes."""

    id: MailboxId
    account_id: AccountId
    name: str
    uid_validity: int
    uid_next: Uid
    highest_modseq: ModSeq
    special_use: str  # "\\Sent", "" for none (RFC 6154)
    messages: int
    octets: int
    first_recent_uid: Uid  # messages from this UID on are \Recent: no session was notified of them yet


@dataclass(frozen=True)
class Snapshot:
    """A mailbox and its entries as of `mailbox.highest_modseq`. Sessions share it, so it is never changed in place."""

    mailbox: Mailbox
    entries: EntryList

    @cached_property
    def keywords(self) -> Sequence[str]:
        """All keywords in use, sorted, each in one spelling."""
        return one_spelling(sorted(set(chain.from_iterable(self.entries.distinct_keywords))))

    @cached_property
    def first_unseen(self) -> int:
        """The message sequence number of the first entry without \\Seen; 0 if all have it."""
        return self.entries.with_flag(Flag.SEEN).find(0) + 1


@dataclass(frozen=True, slots=True)
class Message:
    """A message of an account. `origin` is the traceparent of the transaction that delivered it."""

    id: MessageId
    account_id: AccountId
    index: MessageIndex
    received: int  # seconds since the epoch
    origin: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """The mailbox that a delivery goes to, and the flags that it gets there.

    `quota` is the account's, in octets; None = no limit.
    """

    account_id: AccountId
    mailbox: str = INBOX
    flags: int = 0
    keywords: tuple[str, ...] = ()
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to store once, enter for each destination, and queue for each recipient elsewhere, atomically.

    `raw` includes the trace header fields. `TracedMailStore` sets `origin`, the traceparent of the current span. The
    store adds the message, and the trace, to the `events` that tell of the delivery, unless they tell of another one.
    `suppressions` are added to the suppression list, because the message is a report about their addresses.
    `sending` is what else changes with a message that a user sends. Unless `is_filtered` is False, because the owner
    puts it there, the filters of an account act on what goes to its INBOX.
    """

    raw: bytes
    destinations: tuple[Destination, ...]
    internal_date: int | None = None  # seconds since the epoch; None = now
    origin: str | None = None
    outgoing: Outgoing | None = None
    events: tuple[Event, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    sending: "Sending | None" = None
    is_filtered: bool = True


class AssignedUid(NamedTuple):
    """The UID of a message that was entered in a mailbox (APPENDUID, RFC 9051 §7.1)."""

    uid_validity: int
    uid: Uid


@dataclass(frozen=True, slots=True)
class Receipt:
    """A durable delivery: committed and flushed to disk. `entered` has one UID per destination.

    `queued` is the number of recipients elsewhere, `excess` the limit because of which they are held, if any.
    Concurrent deliveries share one commit: `batch` is their number, `leader` the origin of the first of them, whose
    trace has the statements.
    """

    message_id: MessageId
    entered: tuple[AssignedUid, ...]
    batch: int = 1
    leader: str | None = None
    queued: int = 0
    excess: Excess | None = None


class MailboxNotice(NamedTuple):
    """A notice that a mailbox changed, without the change itself. `origin` is the change's traceparent.

    One of `live_types.NO_MAILBOX` tells of outcomes; its modseq is the number of the last one.
    """

    account_id: AccountId
    mailbox_id: MailboxId
    modseq: ModSeq
    origin: str | None = None
    committed: float = 0.0  # seconds since the epoch, by the clock of the process that committed


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """The filter of a message list; None or "" matches any. Text matches are case-insensitive substrings.

    A message must match all `criteria`. A page begins after `cursor`, or without one after `offset` messages.
    """

    mailbox: str | None = INBOX
    text: str = ""  # in sender, recipients, subject or preview
    since: int | None = None  # received at or after, seconds since the epoch
    before: int | None = None
    seen: bool | None = None
    has_attachments: bool | None = None
    keyword: str | None = None
    cursor: str | None = None  # `MessagePage.next_cursor` of the page before
    limit: int = 50
    thread: str | None = None  # THREADID, see `identifiers.thread_id`
    criteria: tuple[Criterion, ...] = ()
    offset: int = 0
    oldest_first: bool = False

    @property
    def is_whole_mailbox(self) -> bool:
        """Whether each message of a mailbox matches."""
        page = MessageQuery(
            self.mailbox,
            cursor=self.cursor,
            limit=self.limit,
            offset=self.offset,
            oldest_first=self.oldest_first,
        )
        return self.mailbox is not None and self == page


class MessageState(NamedTuple):
    """What may change of a message: its flags and keywords, and the names of its mailboxes in order.

    A flag or keyword is set if it is in one mailbox, but \\Seen if it is in all of them.
    """

    flags: int
    keywords: tuple[str, ...]
    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """One row of a message list: the message, and its `MessageState`."""

    message: Message
    flags: int
    keywords: tuple[str, ...]
    mailboxes: tuple[str, ...]

    @property
    def state(self) -> MessageState:
        """The part of it that may change."""
        return MessageState(self.flags, self.keywords, self.mailboxes)


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page of a message list, in the order of the query. `next_cursor` is None on the last page."""

    items: tuple[ListedMessage, ...]
    next_cursor: str | None = None


class MessageCounts(NamedTuple):
    """The number of messages that match a query, and of those in its mailbox (or in all) without \\Seen there.

    Of a whole mailbox they are MESSAGES and nearly always UNSEEN of STATUS: a message that was copied within the
    mailbox is two for `total`, and one for `unread`.
    """

    total: int
    unread: int


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Flags and keywords to add and to remove; one that is in both is added."""

    add: int = 0
    remove: int = 0
    add_keywords: tuple[str, ...] = field(default=())
    remove_keywords: tuple[str, ...] = field(default=())
    replace: bool = False  # remove all flags and keywords that are not added


class KeyedRequest(NamedTuple):
    """A request that its client may repeat: hashes of its Idempotency-Key and of its content.

    `response` is what the caller will need to respond to a repetition, beside the message and whether it is held.
    """

    key_hash: str
    fingerprint: str
    response: str


class AnsweredRequest(NamedTuple):
    """A request with an Idempotency-Key whose message was sent."""

    fingerprint: str
    response: str
    message_id: MessageId
    is_held: bool


@dataclass(frozen=True, slots=True)
class Sending:
    """What changes with a message that an account sends, in the transaction of its delivery.

    `draft` is the draft that is sent, and removed from every mailbox. `answered` is the message that is replied to or
    forwarded, which gets `change` wherever it is entered.
    """

    account_id: AccountId
    draft: MessageId | None = None
    answered: MessageId | None = None
    change: FlagChange = FlagChange()
    request: KeyedRequest | None = None


@dataclass(frozen=True, slots=True)
class Flagged:
    """The result of a flag change: the current entries in UID order, without UIDs that were expunged.

    `modified` are the UIDs that were not changed, because their modseq is above UNCHANGEDSINCE (RFC 7162 §3.1.3).
    """

    entries: tuple[Entry, ...]
    modified: tuple[Uid, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append (APPEND). `TracedMailStore` sets `origin`, the traceparent of the current span."""

    raw: bytes
    flags: int = 0
    keywords: tuple[str, ...] = ()
    internal_date: int | None = None  # seconds since the epoch; None = now
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an append: the mailbox's UIDVALIDITY, and the UIDs in the order of the messages."""

    uid_validity: int
    uids: tuple[Uid, ...]


class CopiedUid(NamedTuple):
    """The UIDs of a copied message in both mailboxes (COPYUID, RFC 9051 §7.1)."""

    source: Uid
    target: Uid


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy or move: the target's UIDVALIDITY, and the UIDs ascending, without expunged ones.

    `origins` are the traceparents of the transactions that delivered these messages, at most 32.
    """

    uid_validity: int
    uids: tuple[CopiedUid, ...]
    origins: tuple[str, ...] = ()


class Rendering(NamedTuple):
    """The FETCH data items of a message that need no raw message."""

    envelope: bytes
    bodystructure: bytes
    preview: str
    thread: str  # THREADID, see `identifiers.thread_id`
    origin: str | None


class Summary(NamedTuple):
    """The header fields that SEARCH, SORT and THREAD compare: decoded, with text folded (see `folding`).

    An address field is one text: "name <address>", separated by ", ".
    """

    subject: str
    sender: str  # all of From
    to: str
    cc: str
    bcc: str
    date: int | None  # seconds since the epoch, from Date:
    zone: int  # minutes east of Greenwich, from Date: (SENTON compares the date as written)
    header_message_id: str  # without angle brackets, not folded; "" if missing
    references: tuple[str, ...]
    thread: str


class TextPart(Enum):
    """The text that a search key matches."""

    BODY = "body"  # the decoded text parts
    ANYWHERE = "anywhere"  # the header too
