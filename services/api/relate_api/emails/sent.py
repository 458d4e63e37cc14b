"""Sent messages: what lies in the mailbox with the special use \\Sent (RFC 6154)."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from relate_api.access.dependencies import InjectedServices, Principal, Reader, Services
from relate_api.emails.filters import SentFilters
from relate_api.emails.pages import empty_page, find_page
from relate_api.emails.schemas import EmailPage
from relate_mailstore.criteria import Criterion, HasText, Place
from relate_mailstore.mailbox_names import SENT
from relate_mailstore.types import MessageQuery

router = APIRouter()


@router.get("/sent")
async def list_sent_emails(
    filters: Annotated[SentFilters, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """List sent messages, newest first; of one address, if it is given."""
    mailbox = await _find_sent(principal, services)
    if mailbox is None:
        return empty_page(filters)
    address = filters.from_address
    query = MessageQuery(
        mailbox,
        cursor=filters.cursor,
        limit=filters.size,
        offset=filters.offset,
        criteria=() if address is None else (Criterion(HasText(f"<{address}>", Place.FROM)),),
    )
    return await find_page(principal, services, query, filters)


@router.get("/sent/addresses")
async def list_sent_addresses(principal: Reader, services: InjectedServices) -> Sequence[str]:
    """List the addresses that messages were sent from, at most a thousand."""
    mailbox = await _find_sent(principal, services)
    return [] if mailbox is None else await services.store.senders(principal.account_id, mailbox)


async def _find_sent(principal: Principal, services: Services) -> str | None:
    """The name of the first mailbox with this special use."""
    mailboxes = await services.store.mailboxes(principal.account_id)
    return next((mailbox.name for mailbox in mailboxes if mailbox.special_use == SENT), None)
