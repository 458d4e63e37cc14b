"""Pages of messages: the items of a query with its counts."""

from http import HTTPStatus

from fastapi import HTTPException

from relate_api.access.dependencies import Principal, Services
from relate_api.emails.filters import Paging
from relate_api.emails.schemas import EmailPage, EmailSummary
from relate_mailstore.types import MessageQuery


async def find_page(principal: Principal, services: Services, query: MessageQuery, paging: Paging) -> EmailPage:
    """The page of a query. Raises HTTPException with 422 for an invalid cursor."""
    try:
        page = await services.store.find(principal.account_id, query)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid cursor") from None
    counts = await services.store.counts(principal.account_id, query)
    return EmailPage(
        items=[EmailSummary.of(row) for row in page.items],
        next_cursor=page.next_cursor,
        total_count=counts.total,
        unread_count=counts.unread,
        page=paging.number,
        page_size=paging.size,
    )


def empty_page(paging: Paging) -> EmailPage:
    """The page of a list without messages."""
    return EmailPage(
        items=[], next_cursor=None, total_count=0, unread_count=0, page=paging.number, page_size=paging.size
    )
