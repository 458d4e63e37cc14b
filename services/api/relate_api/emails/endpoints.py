"""`/api/external/emails`: list, search, get, raw, patch, delete."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Response
from fastapi.responses import StreamingResponse

from relate_api.access.dependencies import InjectedServices, Principal, Reader, Services, Writer
from relate_api.emails.bodies import read_bodies
from relate_api.emails.schemas import EmailDetail, EmailFilters, EmailPage, EmailPatch, EmailSearch, EmailSummary
from relate_mailstore.types import MessageId, MessageQuery

_RAW_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not modified: the client's copy is current."},
}

router = APIRouter(prefix="/api/external/emails", tags=["emails"])


@router.get("")
async def list_emails(
    filters: Annotated[EmailFilters, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """List messages, newest first."""
    return await _find_page(principal, services, filters.query())


@router.get("/search")
async def search_emails(
    search: Annotated[EmailSearch, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """Search messages by text, newest first."""
    return await _find_page(principal, services, search.query(search.q))


@router.get("/{email_id:uuid}")
async def get_email(email_id: UUID, principal: Reader, services: InjectedServices) -> EmailDetail:
    """Get a message with its text. Does not mark it as read."""
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    return EmailDetail.with_bodies(listed, *await read_bodies(raw, listed.message.index))


@router.get("/{email_id:uuid}/raw", response_class=Response, responses=_RAW_RESPONSES)
async def get_raw_email(
    email_id: UUID, principal: Reader, services: InjectedServices, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Get the raw message, including its trace header fields."""
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    etag = f'"{email_id}"'  # messages are immutable
    if if_none_match is not None and _etag_matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    # Browsers must save the message: displayed, its HTML would run in this origin.
    disposition = f'attachment; filename="{email_id}.eml"'
    headers = {"Content-Length": str(raw.size), "ETag": etag, "Content-Disposition": disposition}
    return StreamingResponse(raw.chunks(), media_type="message/rfc822", headers=headers)


@router.patch("/{email_id:uuid}")
async def patch_email(email_id: UUID, patch: EmailPatch, principal: Writer, services: InjectedServices) -> EmailSummary:
    """Change the read flag, the flag mark and labels. IMAP and POP3 clients see the change."""
    return EmailSummary.of(await services.store.flag_message(principal.account_id, MessageId(email_id), patch.change()))


@router.delete("/{email_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_email(email_id: UUID, principal: Writer, services: InjectedServices) -> None:
    """Delete the message from this account. Copies of other recipients are not affected."""
    await services.store.delete_message(principal.account_id, MessageId(email_id))


async def _find_page(principal: Principal, services: Services, query: MessageQuery) -> EmailPage:
    try:
        page = await services.store.find(principal.account_id, query)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid cursor") from None
    return EmailPage(items=[EmailSummary.of(row) for row in page.items], next_cursor=page.next_cursor)


def _etag_matches(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match matches (RFC 9110 §13.1.2): a list of entity tags, compared weakly, or `*`."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not tags.isdisjoint({etag, "*"})
