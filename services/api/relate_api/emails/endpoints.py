"""List, search, get, patch and delete messages."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Response
from fastapi.exceptions import RequestValidationError

from relate_api.access.dependencies import InjectedServices, Principal, Reader, Services, Writer
from relate_api.emails.bodies import MAX_TEXT_OCTETS, read_bodies
from relate_api.emails.etags import message_etag
from relate_api.emails.filters import EmailFilters, EmailPatch, EmailSearch
from relate_api.emails.pages import find_page
from relate_api.emails.query_language import QueryError
from relate_api.emails.schemas import EmailDetail, EmailPage, EmailSummary
from relate_api.emails.searching import to_message_query
from relate_api.http.conditional import matches, matches_none
from relate_mailstore.mailbox_names import OWN_USES
from relate_mailstore.ports import RawMessage
from relate_mailstore.types import ListedMessage, MessageId, MessageQuery, MessageState

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Not modified: the client's copy is current."},
}

# Mailboxes that hold what the user has written, and so may show its Bcc.

IfMatch = Annotated[str | None, Header(description="The ETag of the message that the change is meant for; else 412.")]

router = APIRouter()


@router.get("")
async def list_emails(
    filters: Annotated[EmailFilters, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """List messages, newest first."""
    return await find_page(principal, services, filters.query(), filters)


@router.get("/search")
async def search_emails(
    search: Annotated[EmailSearch, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """Search messages, newest first: in the INBOX, unless the query or `mailbox` says where."""
    return await find_page(principal, services, await _read_query(search, principal, services), search)


@router.get("/{email_id:uuid}", response_model=EmailDetail, responses=NOT_MODIFIED)
async def get_email(
    email_id: UUID,
    principal: Reader,
    services: InjectedServices,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> EmailDetail | Response:
    """Get a message with its text. Does not mark it as read."""
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    etag = message_etag(listed)
    if matches_none(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    response.headers["ETag"] = etag
    raw = await services.store.open(principal.account_id, listed.message.id)
    return await read_detail(principal, services, listed, raw)


@router.patch("/{email_id:uuid}")
async def patch_email(
    email_id: UUID,
    patch: EmailPatch,
    *,
    principal: Writer,
    services: InjectedServices,
    response: Response,
    if_match: IfMatch = None,
) -> EmailSummary:
    """Change the read flag, the flag mark and labels. IMAP and POP3 clients see the change."""
    expected = await _expect(if_match, email_id, principal, services)
    change, message_id = patch.change(), MessageId(email_id)
    listed = await services.store.flag_message(principal.account_id, message_id, change, expected)
    response.headers["ETag"] = message_etag(listed)
    return EmailSummary.of(listed)


@router.delete("/{email_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_email(email_id: UUID, principal: Writer, services: InjectedServices, if_match: IfMatch = None) -> None:
    """Delete the message from this account. Copies of other recipients are not affected."""
    expected = await _expect(if_match, email_id, principal, services)
    await services.store.delete_message(principal.account_id, MessageId(email_id), expected)


async def read_detail(
    principal: Principal, services: Services, listed: ListedMessage, raw: RawMessage, limit: int = MAX_TEXT_OCTETS
) -> EmailDetail:
    """A message with its text, of which parts are truncated at `limit` encoded octets. Raises MessageNotFound."""
    bodies = await read_bodies(raw, listed.message.index, limit)
    is_sent = bool(listed.message.index.bcc) and await _is_own(principal, services, listed)
    return EmailDetail.with_bodies(listed, bodies, is_sent)


async def _is_own(principal: Principal, services: Services, listed: ListedMessage) -> bool:
    mailboxes = await services.store.mailboxes(principal.account_id)
    own = {mailbox.name for mailbox in mailboxes if mailbox.special_use in OWN_USES}
    return not own.isdisjoint(listed.mailboxes)


async def _expect(
    if_match: str | None, email_id: UUID, principal: Principal, services: Services
) -> MessageState | None:
    """The state that If-Match requires; None for any. Raises MessageNotFound, HTTPException with 412."""
    if if_match is None:
        return None
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    if not matches(if_match, message_etag(listed)):
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, "the message has changed")
    return None if if_match.strip() == "*" else listed.state


async def _read_query(search: EmailSearch, principal: Principal, services: Services) -> MessageQuery:
    """The query of a search. Raises RequestValidationError, whose location ends in the position of the error."""
    try:
        return await to_message_query(search, principal.account_id, services.store, services.labels)
    except QueryError as error:
        place = ("query", "q", error.position)
        text = f"{error}, at character {error.position + 1}"
        raise RequestValidationError([{"type": "query_syntax", "loc": place, "msg": text}]) from None
