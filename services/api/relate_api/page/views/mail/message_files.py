"""The source of a message, as text and as a file, and its attachments."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from relate_api.access.dependencies import InjectedServices
from relate_api.emails.files import Requested, send_attachment, send_message
from relate_api.page.routes import PageRoute
from relate_api.page.visitors import ReadingVisitor
from relate_mailstore.types import MessageId

SOURCE_FIELDS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Frame-Options": "DENY",
}

router = APIRouter(route_class=PageRoute)


@router.get("/messages/{email_id:uuid}/source")
async def show_message_source(email_id: UUID, visitor: ReadingVisitor, services: InjectedServices) -> Response:
    """Show the raw message as text."""
    raw = await services.store.open(visitor.principal.account_id, MessageId(email_id))
    return StreamingResponse(raw.chunks(), headers={**SOURCE_FIELDS, "Content-Length": str(raw.size)})


@router.get("/messages/{email_id:uuid}/file")
async def save_message(email_id: UUID, visitor: ReadingVisitor, services: InjectedServices) -> Response:
    """Get the raw message as a file."""
    raw = await services.store.open(visitor.principal.account_id, MessageId(email_id))
    return send_message(raw, email_id, f"{email_id}.eml")


@router.get("/messages/{email_id:uuid}/attachments/{attachment_id}")
async def save_attachment(
    email_id: UUID,
    attachment_id: Annotated[str, Path(max_length=200)],
    visitor: ReadingVisitor,
    services: InjectedServices,
) -> Response:
    """Get the decoded content of an attachment as a file."""
    account_id = visitor.principal.account_id
    return await send_attachment(services.store, account_id, email_id, attachment_id, Requested())
