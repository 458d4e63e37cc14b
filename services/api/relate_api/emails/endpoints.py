"""`/api/external/emails`: list, search, get, raw, patch, delete."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Response
from fastapi.responses import StreamingResponse

from relate_api.dependencies import Ports, Principal, Reader, Services, Writer
from relate_api.emails.bodies import read_bodies
from relate_api.emails.schemas import EmailDetail, EmailPage, EmailPatch, EmailView, Filters, Search
from relate_mailstore.types import MessageId, MessageQuery

_RAW_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The client has it already."},
}

router = APIRouter(prefix="/api/external/emails", tags=["emails"])


@router.get("")
async def list_emails(filters: Annotated[Filters, Query()], principal: Reader, ports: Ports) -> EmailPage:
    """Messages, newest first."""
    return await _page(principal, ports, filters.query())


@router.get("/search")
async def search_emails(search: Annotated[Search, Query()], principal: Reader, ports: Ports) -> EmailPage:
    """Messages that contain a text, newest first."""
    return await _page(principal, ports, search.query(search.q))


@router.get("/{email_id:uuid}")
async def get_email(email_id: UUID, principal: Reader, ports: Ports) -> EmailDetail:
    """One message with its text; reading it here does not mark it read."""
    listed = await ports.store.message(principal.account_id, MessageId(email_id))
    raw = await ports.store.open(principal.account_id, MessageId(email_id))
    return EmailDetail.with_bodies(listed, *await read_bodies(raw, listed.message.index))


@router.get("/{email_id:uuid}/raw", response_class=Response, responses=_RAW_RESPONSES)
async def get_raw_email(
    email_id: UUID, principal: Reader, ports: Ports, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The message byte for byte, trace header fields included."""
    raw = await ports.store.open(principal.account_id, MessageId(email_id))
    etag = f'"{email_id}"'  # a message never changes
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    # A browser saves it: shown, the HTML in it would run as a page of this origin.
    disposition = f'attachment; filename="{email_id}.eml"'
    headers = {"Content-Length": str(raw.size), "ETag": etag, "Content-Disposition": disposition}
    return StreamingResponse(raw.chunks(), media_type="message/rfc822", headers=headers)


@router.patch("/{email_id:uuid}")
async def patch_email(email_id: UUID, patch: EmailPatch, principal: Writer, ports: Ports) -> EmailView:
    """Mark read or unread, flag, label: IMAP and POP3 see the same."""
    return EmailView.of(await ports.store.flag_message(principal.account_id, MessageId(email_id), patch.change()))


@router.delete("/{email_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_email(email_id: UUID, principal: Writer, ports: Ports) -> None:
    """Remove the message from this account; other recipients keep theirs."""
    await ports.store.delete_message(principal.account_id, MessageId(email_id))


async def _page(principal: Principal, ports: Services, query: MessageQuery) -> EmailPage:
    try:
        page = await ports.store.find(principal.account_id, query)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the cursor is not one of ours") from None
    return EmailPage(items=[EmailView.of(row) for row in page.items], next_cursor=page.next_cursor)


def _matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110 §13.1.2: a list of tags, compared weakly, or `*`."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not tags.isdisjoint({etag, "*"})
