"""Changes of many messages in one transaction."""

from http import HTTPStatus

from fastapi import APIRouter

from relate_api.access.dependencies import InjectedServices, Writer
from relate_api.emails.filters import BulkDelete, BulkMarkRead
from relate_api.emails.schemas import DeletedCount
from relate_mailstore.types import Flag, MessageId

router = APIRouter(prefix="/bulk")


@router.post("/mark-read", status_code=HTTPStatus.NO_CONTENT)
async def mark_emails_read(request: BulkMarkRead, principal: Writer, services: InjectedServices) -> None:
    """Mark messages as read or as unread. Ids of messages that the user does not have are skipped."""
    ids = [MessageId(email_id) for email_id in request.email_ids]
    add, remove = (Flag.SEEN, 0) if request.is_read else (0, Flag.SEEN)
    await services.store.mark_messages(principal.account_id, ids, add, remove)


@router.post("/delete")
async def delete_emails(request: BulkDelete, principal: Writer, services: InjectedServices) -> DeletedCount:
    """Delete messages. Ids of messages that the user does not have are skipped."""
    ids = [MessageId(email_id) for email_id in request.email_ids]
    return DeletedCount(deleted_count=await services.store.delete_messages(principal.account_id, ids))
