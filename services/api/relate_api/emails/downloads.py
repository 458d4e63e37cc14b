"""Files: the raw message, and its attachments."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Response

from relate_api.access.dependencies import InjectedServices, Reader
from relate_api.emails.attachments import INERT_TYPES, OTHER_TYPE
from relate_api.emails.endpoints import NOT_MODIFIED
from relate_api.emails.files import Requested, send_attachment, send_message
from relate_api.http.disposition import message_name
from relate_mailstore.types import MessageId

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_MESSAGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The message.", "content": {"message/rfc822": _BINARY}},
    **NOT_MODIFIED,
}
_FILE_CONTENT = dict.fromkeys((OTHER_TYPE, *sorted(INERT_TYPES)), _BINARY)
_FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The decoded content.", "content": _FILE_CONTENT},
    206: {"description": "The range of the decoded content that was requested.", "content": _FILE_CONTENT},
    **NOT_MODIFIED,
}

IfNoneMatch = Annotated[str | None, Header()]

router = APIRouter()


@router.get("/{email_id:uuid}/raw", response_class=Response, responses=_MESSAGE_RESPONSES)
async def get_raw_email(
    email_id: UUID, principal: Reader, services: InjectedServices, if_none_match: IfNoneMatch = None
) -> Response:
    """Get the raw message, including its trace header fields."""
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    return send_message(raw, email_id, f"{email_id}.eml", if_none_match)


@router.get("/{email_id:uuid}/export/eml", response_class=Response, responses=_MESSAGE_RESPONSES)
async def export_email(
    email_id: UUID, principal: Reader, services: InjectedServices, if_none_match: IfNoneMatch = None
) -> Response:
    """Get the raw message as a file that has the subject as its name."""
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    name = message_name(listed.message.index.subject, f"{email_id}.eml")
    return send_message(raw, email_id, name, if_none_match)


@router.get("/{email_id:uuid}/attachments/{attachment_id}", response_class=Response, responses=_FILE_RESPONSES)
async def get_attachment(
    email_id: UUID,
    attachment_id: Annotated[str, Path(max_length=200, description="`id` of an attachment of the message.")],
    *,
    principal: Reader,
    services: InjectedServices,
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header()] = None,
    range_: Annotated[str | None, Header(alias="Range", description="One range of octets: `bytes=0-99`.")] = None,
) -> Response:
    """Get the decoded content of an attachment, or one range of it."""
    requested = Requested(if_none_match, if_range, range_)
    return await send_attachment(services.store, principal.account_id, email_id, attachment_id, requested)
