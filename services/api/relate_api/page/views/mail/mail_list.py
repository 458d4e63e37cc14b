"""`/`: the mailboxes, and the messages of one of them or of a search."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from relate_api.access.dependencies import InjectedServices, Principal, Services
from relate_api.emails.filters import EmailFilters, EmailSearch, MailboxName
from relate_api.emails.pages import empty_page, find_page
from relate_api.emails.query_language import QueryError
from relate_api.emails.schemas import EmailPage
from relate_api.emails.searching import to_message_query
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.mailboxes.schemas import MailboxDetails
from relate_api.page.notices import told_of
from relate_api.page.rendering import render
from relate_api.page.routes import ADMINISTRATION, PageRoute
from relate_api.page.shown import label_query
from relate_api.page.views.mail.place import Place, Search
from relate_api.page.visitors import ReadingOrAdministratingVisitor
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.mailbox_names import DRAFTS, OWN_USES, TRASH
from relate_mailstore.types import INBOX

PAGE_ITEMS = 50
MAX_CURSOR_CHARACTERS = 200

Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS)]

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def show_mail_list(
    request: Request,
    visitor: ReadingOrAdministratingVisitor,
    services: InjectedServices,
    mailbox: Annotated[MailboxName, Query()] = INBOX,
    *,
    q: Search = "",
    cursor: Cursor = None,
) -> Response:
    """Show a mailbox, or what a search finds in all mailboxes; lead a session that may not read mail to `/admin`."""
    if not visitor.may_read:
        return RedirectResponse(ADMINISTRATION, HTTPStatus.SEE_OTHER)
    principal, error = visitor.principal, ""
    mailboxes = await count_mailboxes(services.store, principal.account_id)
    if all(each.name != mailbox for each in mailboxes):
        raise MailboxNotFound(mailbox)
    labels = await services.labels.all(principal.account_id)
    query = q.strip()
    try:
        page = await _read_page(principal, services, mailbox, query, cursor)
    except QueryError as refused:
        page, error = empty_page(EmailFilters()), f"{refused}, at character {refused.position + 1}"
    place = Place(mailbox, query)
    return render(
        request,
        "mail/mail_list.html",
        visitor,
        mailboxes=mailboxes,
        labels=labels,
        label=next((each for each in labels if each.is_stored and label_query(each) == query), None),
        current=None if query else mailbox,
        query=query,
        error=error,
        page=page,
        shows_recipients=not query and _use_of(mailboxes, mailbox) in OWN_USES,
        is_drafts=not query and _use_of(mailboxes, mailbox) == DRAFTS,
        is_trash=not query and _use_of(mailboxes, mailbox) == TRASH,
        sent=told_of(request),
        place=place,
        here=place.address(cursor=cursor) if cursor else place.address(),
        older=page.next_cursor and place.address(cursor=page.next_cursor),
        is_first=cursor is None,
    )


async def _read_page(
    principal: Principal, services: Services, mailbox: str, query: str, cursor: str | None
) -> EmailPage:
    """Raises QueryError, HTTPException with 422 for an invalid cursor."""
    if not query:
        filters = EmailFilters(mailbox=mailbox, cursor=cursor, limit=PAGE_ITEMS)
        return await find_page(principal, services, filters.query(), filters)
    search = EmailSearch(q=query, mailbox="", cursor=cursor, limit=PAGE_ITEMS)  # `in:` narrows it
    found = await to_message_query(search, principal.account_id, services.store, services.labels)
    return await find_page(principal, services, found, search)


def _use_of(mailboxes: Sequence[MailboxDetails], name: str) -> str | None:
    return next((mailbox.special_use for mailbox in mailboxes if mailbox.name == name), None)
