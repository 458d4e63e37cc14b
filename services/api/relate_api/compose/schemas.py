"""JSON schemas of messages that are written, and of messages that were sent."""

import re
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, FailFast, Field
from pydantic.json_schema import models_json_schema

from relate_api.emails.schemas import EmailDetail
from relate_api.schemas import RequestModel, ResponseModel
from relate_mime.addresses import MAX_ADDRESSES
from relate_submission.paths import MAX_PATH_CHARACTERS, is_address

MAX_FIELD_ADDRESSES = MAX_ADDRESSES - 1  # a field with as many as are read may have more
MAX_NAME_CHARACTERS = 256
MAX_SUBJECT_CHARACTERS = 900  # so that a subject without a space fits into a line (RFC 5322 §2.1.1)
MAX_FILE_NAME_CHARACTERS = 255  # of a name in most file systems
MAX_TEXT_CHARACTERS = 16 * 1024 * 1024
MAX_ATTACHMENTS = 100
MAX_ENCODED_CHARACTERS = 256 * 1024 * 1024  # the limit on the body, which is a setting, is below

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_PRINTABLE = rf"^[^{_CONTROLS}]*$"
_MEDIA_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 §4.2
_MEDIA_TYPE = rf"^{_MEDIA_NAME}/{_MEDIA_NAME}$"
_CONTENT_ID = r"^[A-Za-z0-9._@+-]{1,200}$"


def _check_address(address: str) -> str:
    if not is_address(address):
        raise ValueError("not an email address")
    return address


def _check_media_type(media_type: str) -> str:
    if re.match("multipart/", media_type, re.IGNORECASE):
        raise ValueError("an attachment has no parts")
    return media_type


Line = Annotated[str, Field(pattern=_PRINTABLE)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]


class Correspondent(RequestModel):
    """An address of the message, with a display name."""

    address: Annotated[str, Field(max_length=MAX_PATH_CHARACTERS, pattern=_PRINTABLE), AfterValidator(_check_address)]
    name: Annotated[Line, Field(max_length=MAX_NAME_CHARACTERS)] = ""


Correspondents = Annotated[tuple[Correspondent, ...], FailFast(), Field(max_length=MAX_FIELD_ADDRESSES)]


class NewAttachment(RequestModel):
    """A file. With a `contentId` it is part of the HTML, which refers to it as `cid:…`."""

    file_name: Annotated[Line, Field(min_length=1, max_length=MAX_FILE_NAME_CHARACTERS)]
    content_type: Annotated[str, Field(pattern=_MEDIA_TYPE, max_length=255), AfterValidator(_check_media_type)] = (
        "application/octet-stream"
    )
    content_base64: Annotated[
        str, Field(max_length=MAX_ENCODED_CHARACTERS, json_schema_extra={"contentEncoding": "base64"})
    ]
    content_id: Annotated[str, Field(pattern=_CONTENT_ID)] | None = None


class Content(RequestModel):
    """What a person writes: text, HTML or both, and files."""

    sender: Annotated[Correspondent | None, Field(alias="from", description="By default the primary address.")] = None
    text_body: Text | None = None
    html_body: Text | None = None
    attachments: Annotated[tuple[NewAttachment, ...], FailFast(), Field(max_length=MAX_ATTACHMENTS)] = ()


class NewEmail(Content):
    """A message to send, or a draft.

    `replyToEmailId` and `forwardEmailId` name the message that this one answers or has as an attachment.
    """

    to: Correspondents = ()
    cc: Correspondents = ()
    bcc: Correspondents = ()
    reply_to: Correspondent | None = None
    subject: Annotated[Line, Field(max_length=MAX_SUBJECT_CHARACTERS)] = ""
    reply_to_email_id: UUID | None = None
    forward_email_id: UUID | None = None


class NewReply(Content):
    """A reply. Its recipients and its subject are those of the message that it answers."""

    cc: Correspondents = ()
    bcc: Correspondents = ()


class NewForward(Content):
    """A message that has another one as an attachment."""

    to: Annotated[Correspondents, Field(min_length=1)]
    cc: Correspondents = ()
    bcc: Correspondents = ()


class RecipientState(StrEnum):
    """What became of a recipient."""

    DELIVERED = "delivered"
    """In a mailbox here."""
    QUEUED = "queued"
    """Will be sent to another server."""
    HELD = "held"
    """Waits for an administrator, because the account has sent to too many recipients."""


class SentRecipient(ResponseModel):
    """A recipient of a message that was sent."""

    address: str
    state: RecipientState


class SentEmail(ResponseModel):
    """A message that was sent: its id in \\Sent, its Message-ID, its thread, its recipients."""

    id: UUID
    message_id: str
    thread_id: str
    recipients: list[SentRecipient]


class DraftDetails(ResponseModel):
    """A draft that was stored. Each version has an id of its own, because messages never change."""

    id: UUID
    message_id: str


class StoredDraft(EmailDetail):
    """A draft as it is stored, and the message that is marked as answered or forwarded when the draft is sent.

    Null if there is none. A forwarded message is one of the draft's attachments already.
    """

    reply_to_email_id: UUID | None
    forward_email_id: UUID | None


def _schemas() -> dict[str, Any]:
    models = [(model, "validation") for model in (NewEmail, NewReply, NewForward)]
    definitions: dict[str, Any] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]  # type: ignore[arg-type]
    return definitions


SCHEMAS = _schemas()
"""The schemas of bodies that endpoints read themselves, for the OpenAPI document."""
