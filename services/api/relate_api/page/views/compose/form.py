"""`GET /compose`: the form, empty, or with what a reply, a forwarded message or a draft has."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response

from relate_accounts.addresses import is_catch_all
from relate_accounts.errors import AccountsUnavailable
from relate_api.access.dependencies import InjectedServices, Principal, Services
from relate_api.compose.answers import find_answered, forward_subject, reply_subject
from relate_api.compose.exchange import require_address
from relate_api.compose.older import attached_parts
from relate_api.compose.stored import locate_draft
from relate_api.emails.endpoints import read_detail
from relate_api.emails.schemas import Attachment
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.mailboxes.schemas import MailboxDetails
from relate_api.page.html_mail.text import readable_text
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.shown import one_line
from relate_api.page.views.compose.letter import MAX_TYPED_CHARACTERS, Errors, Letter, valid_key, written_addresses
from relate_api.page.views.compose.quoting import quote
from relate_api.page.visitors import READING, Visitor, WritingVisitor
from relate_mailstore.errors import MessageNotFound, StoreUnavailable
from relate_mailstore.filter_types import Label
from relate_mailstore.types import MessageId
from relate_mime import MessageIndex

MAX_ADDRESSES_CHARACTERS = 10_000
MAX_SUBJECT_CHARACTERS = 900
MAX_KEY_CHARACTERS = 257
HTML = "text/html"
FILE_SHARE = 72
"""Per cent of the largest message that files may have: base64 with its line ends takes the rest (RFC 2045 §6.8)."""

router = APIRouter(route_class=PageRoute)

Answered = Annotated[UUID | None, Query()]


@router.get("/compose")
async def show_empty_form(
    request: Request,
    visitor: WritingVisitor,
    services: InjectedServices,
    *,
    to: Annotated[str, Query(max_length=MAX_ADDRESSES_CHARACTERS)] = "",
    subject: Annotated[str, Query(max_length=MAX_SUBJECT_CHARACTERS)] = "",
    reply: Answered = None,
    reply_all: Annotated[UUID | None, Query(alias="reply-all")] = None,
    forward: Answered = None,
    draft: Answered = None,
    key: Annotated[str, Query(max_length=MAX_KEY_CHARACTERS)] = "",
) -> Response:
    """Show the form for a new message, a reply, a forwarded message, or a draft; with `key` the form that had it."""
    principal = visitor.principal
    require_address(principal)
    if (reply or reply_all or forward or draft) and not visitor.may_read:
        scopes = " or ".join(sorted(READING))
        raise HTTPException(HTTPStatus.FORBIDDEN, f"the session lacks the scope {scopes}")
    letter = Letter(to=to, subject=subject)
    if draft is not None:
        letter = await _draft(principal, services, draft)
    elif forward is not None:
        letter = await _forward(principal, services, forward)
    elif email_id := reply_all or reply:
        letter = await _reply(principal, services, email_id, to_all=reply_all is not None)
    return await show_form(request, visitor, services, replace(letter, key=valid_key(key)))


async def show_form(
    request: Request,
    visitor: Visitor,
    services: Services,
    letter: Letter,
    *,
    errors: Errors | None = None,
    hint: str = "",
    saving: bool = False,
) -> Response:
    """The form, with what is wrong, and a hint at its files; also while the store is unavailable."""
    try:
        around = await _read_around(visitor, services, letter)
    except (AccountsUnavailable, StoreUnavailable):
        around = _Around([visitor.principal.user.address])
    return render(
        request,
        "compose/compose.html",
        visitor,
        letter=letter,
        errors=errors or {},
        hint=hint,
        saving=saving,
        max_octets=services.submission.max_content * FILE_SHARE // 100,
        **around._asdict(),
    )


class _Around(NamedTuple):
    """What the form shows beside the letter: its subjects, the files of the draft, and whether that has HTML."""

    addresses: Sequence[str]
    mailboxes: Sequence[MailboxDetails] = ()
    labels: Sequence[Label] = ()
    attachments: Sequence[Attachment] = ()
    is_formatted: bool = False
    answered: MessageIndex | None = None
    forwarded: MessageIndex | None = None


async def _read_around(visitor: Visitor, services: Services, letter: Letter) -> _Around:
    principal = visitor.principal
    addresses = await own_addresses(services, principal)
    if not visitor.may_read:
        return _Around(addresses)
    draft = await _index(principal, services, letter.draft)
    return _Around(
        addresses,
        await count_mailboxes(services.store, principal.account_id),
        await services.labels.all(principal.account_id),
        [] if draft is None else [Attachment.of(part) for part in attached_parts(draft)],
        draft is not None and any(part.media_type == HTML and not part.attachment for part in draft.parts),
        await _index(principal, services, letter.reply),
        await _index(principal, services, letter.forward),
    )


async def own_addresses(services: Services, principal: Principal) -> Sequence[str]:
    """The addresses that the user writes from: all but catch-alls, which are no mailbox."""
    return [each for each in await services.accounts.addresses(principal.user.id) if not is_catch_all(each)]


async def _reply(principal: Principal, services: Services, email_id: UUID, *, to_all: bool) -> Letter:
    answered = await find_answered(services, principal, MessageId(email_id))
    to, cc = answered.all_recipients() if to_all else (answered.recipients(), ())
    raw = await services.store.open(principal.account_id, MessageId(email_id))
    message = await read_detail(principal, services, answered.listed, raw)
    return Letter(
        sender=answered.addressed() or "",
        to=written_addresses((each.name, each.address) for each in to),
        cc=written_addresses((each.name, each.address) for each in cc),
        subject=one_line(reply_subject(answered.index.subject)),
        text=await asyncio.to_thread(quote, message),
        reply=email_id,
    )


async def _forward(principal: Principal, services: Services, email_id: UUID) -> Letter:
    answered = await find_answered(services, principal, MessageId(email_id))
    subject = one_line(forward_subject(answered.index.subject))
    return Letter(sender=answered.addressed() or "", subject=subject, forward=email_id)


async def _draft(principal: Principal, services: Services, draft: UUID) -> Letter:
    account_id, message_id = principal.account_id, MessageId(draft)
    await locate_draft(services, account_id, message_id)
    listed = await services.store.message(account_id, message_id)
    raw = await services.store.open(account_id, message_id)
    # All of the text, because the next version has but what the form has.
    message = await read_detail(principal, services, listed, raw, MAX_TYPED_CHARACTERS)
    if message.is_truncated:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "This draft is too long for this page: edit it elsewhere.")
    index = listed.message.index
    return Letter(
        sender=index.sender.address,
        to=written_addresses(index.to),
        cc=written_addresses(index.cc),
        bcc=written_addresses(index.bcc),
        subject=index.subject,
        text=await asyncio.to_thread(readable_text, message),
        draft=draft,
    )


async def _index(principal: Principal, services: Services, email_id: UUID | None) -> MessageIndex | None:
    """The index of a message that the form names; None without one, or if it is gone."""
    if email_id is None:
        return None
    try:
        return (await services.store.message(principal.account_id, MessageId(email_id))).message.index
    except MessageNotFound:
        return None
