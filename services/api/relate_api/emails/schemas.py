"""JSON schemas of messages and queries. Bcc is not included, because no reader may see it."""

from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import FailFast, Field, StrictBool

from relate_api.schemas import Page, RequestModel, ResponseModel, UtcDatetime
from relate_mailstore.types import Flag, FlagChange, ListedMessage, MessageQuery
from relate_mime import Part

MAX_PAGE_ITEMS = 100  # a few hundred kB of JSON
MAX_LABELS = 32  # per request, added or removed

# Labels are IMAP keywords, which are atoms (RFC 9051 §9).
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9$_.+-]{1,64}$")]
# Fail on the first invalid item, because reporting one costs a hundred times as much as accepting one.
Labels = Annotated[tuple[Label, ...], FailFast(), Field(max_length=MAX_LABELS)]


class EmailAddress(ResponseModel):
    """An email address with its display name."""

    name: str
    address: str


class Attachment(ResponseModel):
    """An attachment. `section` is the IMAP part specifier, `sizeBytes` the size of the encoded content."""

    section: str
    file_name: str
    content_type: str
    size_bytes: int

    @classmethod
    def of(cls, part: Part) -> Self:
        """Convert a MIME part."""
        return cls(
            section=part.section,
            file_name=part.filename,
            content_type=part.media_type,
            size_bytes=part.end - part.body,
        )


class EmailSummary(ResponseModel):
    """A message in a list."""

    id: UUID
    message_id: str
    sender: Annotated[EmailAddress, Field(serialization_alias="from")]
    to: list[EmailAddress]
    cc: list[EmailAddress]
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
        """Convert a listed message."""
        return cls(**_summary_fields(listed))


class EmailDetail(EmailSummary):
    """A message with its text and attachments."""

    text_body: str | None
    html_body: str | None
    is_truncated: bool
    attachments: list[Attachment]

    @classmethod
    def with_bodies(cls, listed: ListedMessage, text: str | None, html: str | None, truncated: bool) -> Self:
        """Convert a listed message and its decoded bodies."""
        attachments = [Attachment.of(part) for part in listed.message.index.parts if part.attachment]
        return cls(
            **_summary_fields(listed), text_body=text, html_body=html, is_truncated=truncated, attachments=attachments
        )


class EmailPage(Page[EmailSummary]):
    """A page of messages, newest first."""


class EmailFilters(RequestModel):
    """Filters of a list."""

    mailbox: Annotated[str, Field(max_length=255, description="The mailbox name; empty for all mailboxes.")] = "INBOX"
    since: Annotated[UtcDatetime | None, Field(description="Received at this time or later.")] = None
    before: Annotated[UtcDatetime | None, Field(description="Received before this time.")] = None
    is_read: bool | None = None
    has_attachments: bool | None = None
    label: Label | None = None
    cursor: Annotated[str | None, Field(max_length=200, description="`nextCursor` of the previous page.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS)] = 50

    def query(self, text: str = "") -> MessageQuery:
        """Convert to a query of the mail store."""
        return MessageQuery(
            mailbox=self.mailbox or None,
            text=text,
            since=_to_seconds(self.since),
            before=_to_seconds(self.before),
            seen=self.is_read,
            has_attachments=self.has_attachments,
            keyword=self.label,
            cursor=self.cursor,
            limit=self.limit,
        )


class EmailSearch(EmailFilters):
    """A text search with the same filters."""

    q: Annotated[
        str, Field(min_length=1, max_length=200, description="Text to find in sender, recipients, subject or preview.")
    ]


class EmailPatch(RequestModel):
    """Changes to a message. Omitted properties stay as they are; a label that is both added and removed is added."""

    is_read: StrictBool | None = None
    is_flagged: StrictBool | None = None
    add_labels: Labels = ()
    remove_labels: Labels = ()

    def change(self) -> FlagChange:
        """Convert to a flag change of the mail store."""
        wanted = {Flag.SEEN: self.is_read, Flag.FLAGGED: self.is_flagged}
        return FlagChange(
            add=sum(flag for flag, on in wanted.items() if on is True),
            remove=sum(flag for flag, on in wanted.items() if on is False),
            add_keywords=self.add_labels,
            remove_keywords=self.remove_labels,
        )


def _summary_fields(listed: ListedMessage) -> dict[str, Any]:
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
        "date": None if index.date is None else _sender_date(index.date),
        "size_bytes": index.size,
        "is_read": bool(listed.flags & Flag.SEEN),
        "is_flagged": bool(listed.flags & Flag.FLAGGED),
        "labels": listed.keywords,
        "mailboxes": listed.mailboxes,
        "attachment_count": index.attachments,
    }


def _sender_date(seconds: int) -> datetime | None:
    """The Date field in UTC; None for a date outside of the supported calendar, because the sender chooses it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _to_seconds(moment: datetime | None) -> int | None:
    """Round up to whole seconds, the resolution of receive dates, so that both bounds stay exact."""
    return None if moment is None else ceil(moment.timestamp())
