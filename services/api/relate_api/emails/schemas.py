"""Messages as JSON, and what may be asked of them. Bcc is not among the fields: nobody is shown it."""

from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import FailFast, Field, StrictBool

from relate_api.schemas import Input, Moment, Page, View
from relate_mailstore.types import Flag, FlagChange, ListedMessage, MessageQuery, Part

MAX_PAGE = 100  # rows: a few hundred kB of JSON
MAX_LABELS = 32  # added or removed by one request

# An IMAP keyword is an atom (RFC 9051 §9), and keywords are what labels are.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9$_.+-]{1,64}$")]
# The first wrong one ends it: each would be explained, at the cost of a hundred right ones.
Labels = Annotated[tuple[Label, ...], FailFast(), Field(max_length=MAX_LABELS)]


class AddressView(View):
    """One address."""

    name: str
    address: str


class AttachmentView(View):
    """One attachment: `section` is its part specifier in IMAP; the size is that of the encoded content."""

    section: str
    file_name: str
    content_type: str
    size_bytes: int

    @classmethod
    def of(cls, part: Part) -> Self:
        """From the domain's part."""
        return cls(
            section=part.section,
            file_name=part.filename,
            content_type=part.media_type,
            size_bytes=part.end - part.body,
        )


class EmailView(View):
    """One row of a list."""

    id: UUID
    message_id: str
    sender: Annotated[AddressView, Field(serialization_alias="from")]
    to: list[AddressView]
    cc: list[AddressView]
    subject: str
    preview: str
    received_at: datetime
    date: datetime | None
    size_bytes: int
    is_read: bool
    is_flagged: bool
    labels: list[str]
    mailboxes: list[str]
    attachment_count: int

    @classmethod
    def of(cls, listed: ListedMessage) -> Self:
        """From the domain's row."""
        return cls(**_fields(listed))


class EmailDetail(EmailView):
    """One message with its text."""

    text_body: str | None
    html_body: str | None
    is_truncated: bool
    attachments: list[AttachmentView]

    @classmethod
    def with_bodies(cls, listed: ListedMessage, text: str | None, html: str | None, truncated: bool) -> Self:
        """From the domain's message and its decoded bodies."""
        attachments = [AttachmentView.of(part) for part in listed.message.index.parts if part.attachment]
        return cls(**_fields(listed), text_body=text, html_body=html, is_truncated=truncated, attachments=attachments)


class EmailPage(Page[EmailView]):
    """One page of a list, newest first."""


class Filters(Input):
    """What a list is narrowed to."""

    mailbox: Annotated[str, Field(max_length=255, description="Its name; empty for all.")] = "INBOX"
    since: Annotated[Moment | None, Field(description="Received then or later.")] = None
    before: Annotated[Moment | None, Field(description="Received earlier.")] = None
    is_read: bool | None = None
    has_attachments: bool | None = None
    label: Label | None = None
    cursor: Annotated[str | None, Field(max_length=200, description="`nextCursor` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50

    def query(self, text: str = "") -> MessageQuery:
        """As the store asks it."""
        return MessageQuery(
            mailbox=self.mailbox or None,
            text=text,
            since=_seconds(self.since),
            before=_seconds(self.before),
            seen=self.is_read,
            has_attachments=self.has_attachments,
            keyword=self.label,
            cursor=self.cursor,
            limit=self.limit,
        )


class Search(Filters):
    """A search, narrowed likewise."""

    q: Annotated[
        str, Field(min_length=1, max_length=200, description="Looked for in sender, recipients, subject and preview.")
    ]


class EmailPatch(Input):
    """What to change; what is left out stays. A label both added and removed is added."""

    is_read: StrictBool | None = None
    is_flagged: StrictBool | None = None
    add_labels: Labels = ()
    remove_labels: Labels = ()

    def change(self) -> FlagChange:
        """As the store makes it."""
        wanted = {Flag.SEEN: self.is_read, Flag.FLAGGED: self.is_flagged}
        return FlagChange(
            add=sum(flag for flag, on in wanted.items() if on is True),
            remove=sum(flag for flag, on in wanted.items() if on is False),
            add_keywords=self.add_labels,
            remove_keywords=self.remove_labels,
        )


def _fields(listed: ListedMessage) -> dict[str, Any]:
    message, index = listed.message, listed.message.index
    return {
        "id": message.id,
        "message_id": index.header_message_id,
        "sender": index.sender,
        "to": index.to,
        "cc": index.cc,
        "subject": index.subject,
        "preview": index.preview,
        "received_at": datetime.fromtimestamp(message.received, UTC),
        "date": None if index.date is None else _moment(index.date),
        "size_bytes": index.size,
        "is_read": bool(listed.flags & Flag.SEEN),
        "is_flagged": bool(listed.flags & Flag.FLAGGED),
        "labels": listed.keywords,
        "mailboxes": listed.mailboxes,
        "attachment_count": index.attachments,
    }


def _moment(seconds: int) -> datetime | None:
    """The Date field is the sender's: it may name a year that no calendar here has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _seconds(moment: datetime | None) -> int | None:
    """Messages are received in whole seconds: what is at or after a fraction is at or after the next one."""
    return None if moment is None else ceil(moment.timestamp())
