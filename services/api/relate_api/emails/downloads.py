"""Files: the raw message, and its attachments."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import StreamingResponse

from relate_api.access.dependencies import InjectedServices, Reader
from relate_api.emails.attachments import (
    INERT_TYPES,
    OTHER_TYPE,
    Content,
    find_attachment,
    media_type_of,
    open_content,
)
from relate_api.emails.endpoints import NOT_MODIFIED
from relate_api.http.conditional import matches_none, range_applies
from relate_api.http.disposition import attachment, safe_name
from relate_api.http.errors import problem
from relate_api.http.ranges import NotSatisfiableError, parse_range
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import RawMessage
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
    return _send_message(raw, email_id, f"{email_id}.eml", if_none_match)


@router.get("/{email_id:uuid}/export/eml", response_class=Response, responses=_MESSAGE_RESPONSES)
async def export_email(
    email_id: UUID, principal: Reader, services: InjectedServices, if_none_match: IfNoneMatch = None
) -> Response:
    """Get the raw message as a file that has the subject as its name."""
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    name = safe_name(f"{listed.message.index.subject}.eml", "")
    return _send_message(raw, email_id, name if name not in {"", "eml"} else f"{email_id}.eml", if_none_match)


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
    (index,) = await services.store.indexes(principal.account_id, [MessageId(email_id)])
    part = find_attachment(index, attachment_id)
    if part is None:
        raise MessageNotFound(f"attachment of message {email_id} of account {principal.account_id}")
    etag = f'"{email_id}-{part.section}"'  # messages are immutable
    if matches_none(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    content = await open_content(await services.store.open(principal.account_id, MessageId(email_id)), part)
    return _send_content(content, etag, range_ if range_applies(if_range, etag) else None)


def _send_message(raw: RawMessage, email_id: UUID, name: str, if_none_match: str | None) -> Response:
    etag = f'"{email_id}"'  # messages are immutable
    if matches_none(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    headers = {"Content-Length": str(raw.size), "ETag": etag, "Content-Disposition": attachment(name)}
    return StreamingResponse(raw.chunks(), media_type="message/rfc822", headers=headers)


def _send_content(content: Content, etag: str, range_field: str | None) -> Response:
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    try:
        selected = parse_range(range_field, content.size)
    except NotSatisfiableError:
        refused = problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        refused.headers["Content-Range"] = f"bytes */{content.size}"
        return refused
    start, stop = (0, content.size) if selected is None else (selected.start, selected.stop)
    if selected is not None:
        headers["Content-Range"] = str(selected)
    headers["Content-Length"] = str(stop - start)
    headers["Content-Disposition"] = attachment(safe_name(content.part.filename, "attachment"))
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return StreamingResponse(
        content.chunks(start, stop),
        status_code=HTTPStatus.OK if selected is None else HTTPStatus.PARTIAL_CONTENT,
        # The field itself: Starlette would add a charset that the sender did not name.
        headers={**headers, "Content-Type": media_type_of(content.part)},
    )
