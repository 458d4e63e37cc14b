"""`/api/drafts`: messages that are not sent yet, in the mailbox for drafts, with \\Draft (RFC 9051 §2.3.2).

Mail clients see and change them, too. A message never changes, so that a new version of a draft is a new message, with
a new id, which replaces the old one in one transaction. Drafts keep their Bcc field.
"""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from relate_api.access.dependencies import InjectedServices, Reader, Writer
from relate_api.compose.answers import FORWARDED, REPLIED
from relate_api.compose.exchange import Sender, WritingCaller, body_of
from relate_api.compose.pending import read_pending, without_pending
from relate_api.compose.refusals import SendingRoute
from relate_api.compose.schemas import DraftDetails, NewEmail, SentEmail, StoredDraft
from relate_api.compose.sending import Caller, Written, repeat_answer, send
from relate_api.compose.special import find_special
from relate_api.compose.stored import locate_draft, store_draft
from relate_api.compose.uploads import JSON, received, too_large
from relate_api.compose.writing import write_named
from relate_api.emails.endpoints import read_detail
from relate_api.emails.filters import Paging
from relate_api.emails.pages import find_page
from relate_api.emails.schemas import EmailPage
from relate_mailstore.mailbox_names import DRAFTS
from relate_mailstore.types import MessageId, MessageQuery
from relate_submission.header import Header, TooManyFields

router = APIRouter(prefix="/api/drafts", tags=["drafts"])
sending_router = APIRouter(prefix=router.prefix, tags=["drafts"], route_class=SendingRoute)


@router.get("")
async def list_drafts(paging: Annotated[Paging, Query()], principal: Reader, services: InjectedServices) -> EmailPage:
    """List drafts, newest first."""
    mailbox = await find_special(services, principal.account_id, DRAFTS)
    query = MessageQuery(mailbox=mailbox, cursor=paging.cursor, limit=paging.size, offset=paging.offset)
    return await find_page(principal, services, query, paging)


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=body_of("NewEmail"))
async def create_draft(caller: WritingCaller) -> DraftDetails:
    """Store a draft. It needs no recipient yet."""
    return await _store(caller, None)


@router.get("/{draft_id:uuid}")
async def get_draft(draft_id: UUID, principal: Reader, services: InjectedServices) -> StoredDraft:
    """Get a draft with its text and its blind copies."""
    account_id, message_id = principal.account_id, MessageId(draft_id)
    await locate_draft(services, account_id, message_id)
    listed = await services.store.message(account_id, message_id)
    detail = await read_detail(principal, services, listed, await services.store.open(account_id, message_id))
    (header,) = await services.store.headers(account_id, [message_id])
    changes = read_pending(Header(header or b""), message_id)
    return StoredDraft(
        **dict(detail),
        reply_to_email_id=changes.answered if changes.mark == REPLIED else None,
        forward_email_id=changes.answered if changes.mark == FORWARDED else None,
    )


@router.put("/{draft_id:uuid}", openapi_extra=body_of("NewEmail"))
async def replace_draft(draft_id: UUID, caller: WritingCaller) -> DraftDetails:
    """Replace a draft by a new version, which has another id."""
    return await _store(caller, MessageId(draft_id))


@router.delete("/{draft_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_draft(draft_id: UUID, principal: Writer, services: InjectedServices) -> None:
    """Delete a draft."""
    await locate_draft(services, principal.account_id, MessageId(draft_id))
    await services.store.delete_message(principal.account_id, MessageId(draft_id))


@sending_router.post("/{draft_id:uuid}/send", status_code=HTTPStatus.CREATED)
async def send_draft(draft_id: UUID, caller: Sender) -> SentEmail:
    """Send a draft, and remove it in the same transaction."""
    services, account_id = caller.services, caller.principal.account_id
    # The draft is the content of the request: the path names it, and it never changes.
    async with caller.keyed(f"send {draft_id}") as key:
        if key.answered is not None:
            sent = repeat_answer(key.answered)
        else:
            await locate_draft(services, account_id, MessageId(draft_id))
            raw = await services.store.open(account_id, MessageId(draft_id))
            if raw.size > services.submission.max_content:
                raise too_large(services)
            sent = await send(caller, _read_pending(await raw.read(), draft_id), caller.reception(), key)
    caller.response.headers["Location"] = f"/api/emails/{sent.id}"
    return sent


def _read_pending(draft: bytes, draft_id: UUID) -> Written:
    try:
        return without_pending(draft, MessageId(draft_id))
    except TooManyFields:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "a header field occurs too often") from None


async def _store(caller: Caller, replaced: MessageId | None) -> DraftDetails:
    services, account_id = caller.services, caller.principal.account_id
    async with received(caller.request, services, JSON) as upload:
        place = None if replaced is None else await locate_draft(services, account_id, replaced)
        reception = caller.reception()
        written = await write_named(caller, await upload.parse(NewEmail), reception)
        draft_id = await store_draft(caller, written, place)
    caller.response.headers["Location"] = f"/api/emails/{draft_id}"
    return DraftDetails(id=draft_id, message_id=f"{reception.identifier}@{reception.server_name}")
