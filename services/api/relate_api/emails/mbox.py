"""Export of mail as one mbox file, streamed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import StreamingResponse

from relate_api.access.dependencies import InjectedServices, Reader
from relate_api.emails.filters import ExportFilters
from relate_api.http.disposition import attachment
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.mbox_flags import flag_fields
from relate_mailstore.ports import MailStore, RawMessage
from relate_mailstore.types import AccountId, ListedMessage, MessagePage, MessageQuery
from relate_mime.writing.mbox import MboxEncoder, mbox_separator

PAGE_MESSAGES = 50
"""Of one query; their small messages are in memory at a time."""

MEDIA_TYPE = "application/mbox"

_RESPONSES: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {
        "description": "The messages, oldest first, as mboxrd.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter()


@router.get("/export/mbox", response_class=Response, responses=_RESPONSES)
async def export_mbox(
    filters: Annotated[ExportFilters, Query()], principal: Reader, services: InjectedServices
) -> Response:
    """Export messages with their flags and labels; of all mailboxes, unless one is named. 404 if there is none."""
    query = filters.query(PAGE_MESSAGES)
    first = await services.store.find(principal.account_id, query)  # a failure still has its status
    if filters.mailbox and not first.items:
        await _expect_mailbox(services.store, principal.account_id, filters.mailbox)
    return StreamingResponse(
        _read_file(services.store, principal.account_id, query, first),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": attachment("mail.mbox")},
    )


async def _expect_mailbox(store: MailStore, account_id: AccountId, name: str) -> None:
    """Raise HTTPException with 404 if there is no such mailbox: an empty file would look like a backup of it."""
    await store.provision(account_id)
    try:
        await store.mailbox(account_id, name)
    except MailboxNotFound:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such mailbox") from None


async def _read_file(
    store: MailStore, account_id: AccountId, query: MessageQuery, page: MessagePage
) -> AsyncIterator[bytes]:
    while True:
        opened = await store.open_all(account_id, [row.message.id for row in page.items])
        for row, raw in zip(page.items, opened, strict=True):
            if raw is not None:  # else deleted since
                async for chunk in _read_message(row, raw):
                    yield chunk
        if page.next_cursor is None:
            return
        page = await store.find(account_id, replace(query, cursor=page.next_cursor))


async def _read_message(row: ListedMessage, raw: RawMessage) -> AsyncIterator[bytes]:
    """The message in the file. Raises MessageNotFound if it is deleted meanwhile, so that no file has half of it."""
    encoder = MboxEncoder()
    yield mbox_separator(row.message.received) + flag_fields(row.flags, row.keywords)
    async for chunk in raw.chunks():
        yield encoder.encode(chunk)
    yield encoder.finish()
