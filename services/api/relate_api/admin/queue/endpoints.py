"""`/api/admin/queue`: the mail that waits to be sent to other servers."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from relate_api.access.dependencies import Administrator, InjectedServices
from relate_api.admin.queue.schemas import (
    QueueChanged,
    QueuedRecipientDetails,
    QueueFilters,
    QueueList,
    QueueSelection,
)
from relate_api.admin.schemas import PathId
from relate_mailstore.queue_types import QueueFilter, RecipientId

router = APIRouter(prefix="/queue")


@router.get("")
async def list_queue(
    filters: Annotated[QueueFilters, Query()], _: Administrator, services: InjectedServices
) -> QueueList:
    """List recipients, the oldest first."""
    cursor = None if filters.cursor is None else RecipientId(filters.after)
    page = await services.queue.find(filters.query(state=filters.state), filters.limit, cursor)
    following = None if page.next_cursor is None else str(page.next_cursor)
    return QueueList(items=[QueuedRecipientDetails.of(row) for row in page.items], next_cursor=following)


@router.get("/{recipient_id:int}")
async def get_queued_recipient(
    recipient_id: PathId, _: Administrator, services: InjectedServices
) -> QueuedRecipientDetails:
    """Get one recipient, by its number."""
    page = await services.queue.find(QueueFilter(recipient_id=RecipientId(recipient_id)), 1)
    if not page.items:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return QueuedRecipientDetails.of(page.items[0])


@router.post("/hold")
async def hold_queue(selection: QueueSelection, _: Administrator, services: InjectedServices) -> QueueChanged:
    """Attempt nothing until it is released. A recipient that is being attempted is held after that."""
    return QueueChanged(changed=await services.queue.hold(_filter(selection)))


@router.post("/release")
async def release_queue(selection: QueueSelection, _: Administrator, services: InjectedServices) -> QueueChanged:
    """Attempt held recipients now."""
    return QueueChanged(changed=await services.queue.release(_filter(selection)))


@router.post("/retry")
async def retry_queue(selection: QueueSelection, _: Administrator, services: InjectedServices) -> QueueChanged:
    """Attempt queued recipients now, without waiting for their next attempt."""
    return QueueChanged(changed=await services.queue.retry(_filter(selection)))


@router.post("/drop")
async def drop_queue(selection: QueueSelection, _: Administrator, services: InjectedServices) -> QueueChanged:
    """Cancel recipients; the sender is not told."""
    return QueueChanged(changed=await services.queue.drop(_filter(selection)))


def _filter(selection: QueueSelection) -> QueueFilter:
    query = selection.query(selection.id)
    if query == QueueFilter():
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "give id, domain, userId or olderThanHours")
    return query
