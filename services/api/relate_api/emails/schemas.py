"""JSON schemas of messages. Bcc is shown to the sender alone, because no recipient may see it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from relate_api.emails.bodies import Bodies
from relate_api.emails.etags import thread_of
from relate_api.schemas import Page, ResponseModel
from relate_mailstore.types import Flag, ListedMessage
from relate_mime import Part

_SUMMARY_EXAMPLE: dict[str, JsonValue] = {
    "id": "019f1e2d-3c4b-7a59-8867-1f2e3d4c5b6a",
    "messageId": "report@example.org",
    "from": {"name": "Ann Example", "address": "ann@example.org"},
    "to": [{"name": "Bob Example", "address": "bob@example.net"}],
    "cc": [],
    "subject": "Annual report",
    "preview": "The figures.",
    "receivedAt": "2026-11-30T09:30:02Z",
    "date": "2026-11-30T09:30:00Z",
    "sizeBytes": 48213,
    "isRead": False,
    "isFlagged": False,
    "labels": ["work"],
    "mailboxes": ["INBOX"],
    "attachmentCount": 1,
    "threadId": "5f3c2a1b0d9e8f70",
}
_DETAIL_EXAMPLE: dict[str, JsonValue] = {
    **_SUMMARY_EXAMPLE,
    "textBody": "The figures.\r\n",
    "htmlBody": None,
    "isTruncated": False,
    "recipients": [{"address": "bob@example.net", "displayName": "Bob Example", "type": "To"}],
    "attachments": [
        {
            "id": "2",
            "section": "2",
            "fileName": "report.pdf",
            "contentType": "application/pdf",
            "sizeBytes": 46120,
        }
    ],
}


class EmailAddress(ResponseModel):
    """An email address with its display name."""

    name: str
    address: str


class Recipient(ResponseModel):
    """A recipient, and the field that names it. Bcc is shown in messages that the user has sent or drafted."""

    address: str
    display_name: str
    type: Literal["To", "Cc", "Bcc"]


class Attachment(ResponseModel):
    """An attachment.

    `id` is stable, and unique in the message. `section` is the IMAP part specifier, `sizeBytes` the size of the encoded
    content.
    """

    id: str
    section: str
    file_name: str
    content_type: str
    size_bytes: int

    @classmethod
    def of(cls, part: Part) -> Self:
        """Convert a MIME part."""
        return cls(
            id=part.section,
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
    thread_id: str

    @classmethod
    def of(cls, listed: ListedMessage) -> Self:
        """Convert a listed message."""
        return cls(**_summary_fields(listed))


class EmailDetail(EmailSummary):
    """A message with its text, recipients and attachments."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL_EXAMPLE]})

    text_body: str | None
    html_body: str | None
    is_truncated: bool
    recipients: list[Recipient]
    attachments: list[Attachment]

    @classmethod
    def with_bodies(cls, listed: ListedMessage, bodies: Bodies, is_sent: bool) -> Self:
        """Convert a listed message and its decoded bodies; `is_sent` if the user has sent or drafted it."""
        index = listed.message.index
        fields = {"To": index.to, "Cc": index.cc, **({"Bcc": index.bcc} if is_sent else {})}
        return cls(
            **_summary_fields(listed),
            **bodies._asdict(),
            recipients=[
                Recipient.model_validate({"address": address, "display_name": name, "type": kind})
                for kind, people in fields.items()
                for name, address in people
            ],
            attachments=[Attachment.of(part) for part in index.parts if part.attachment],
        )


class EmailPage(Page[EmailSummary]):
    """A page of messages, newest first.

    `totalCount` counts the messages on all pages, `unreadCount` the unread ones in the mailbox, whatever the other
    filters are. `page` is null if a cursor was sent.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [_SUMMARY_EXAMPLE],
                    "nextCursor": None,
                    "totalCount": 1,
                    "unreadCount": 1,
                    "page": 1,
                    "pageSize": 50,
                }
            ]
        }
    )

    total_count: int
    unread_count: int
    page: int | None
    page_size: int


class DeletedCount(ResponseModel):
    """How many messages were deleted."""

    deleted_count: Annotated[int, Field(examples=[2])]


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
        "thread_id": thread_of(message),
    }


def _sender_date(seconds: int) -> datetime | None:
    """The Date field in UTC; None for a date outside of the supported calendar, because the sender chooses it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
