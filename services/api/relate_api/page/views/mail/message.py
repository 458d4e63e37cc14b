"""`/messages/{id}`: one message; `/messages/{id}/html`: its HTML, for the frame."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.emails.bodies import read_bodies
from relate_api.emails.endpoints import read_detail
from relate_api.journeys.reading import read_journey
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.page.html_mail.frame import FRAME_SANDBOX, frame_document
from relate_api.page.html_mail.inline_images import read_inline_images
from relate_api.page.html_mail.sanitiser import Sanitised, sanitise
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.views.mail.ends import ends_of
from relate_api.page.views.mail.place import Place, Search
from relate_api.page.visitors import ReadingVisitor, Visitor
from relate_mailstore.mailbox_names import DRAFTS, MAX_NAME_OCTETS, SENT, TRASH
from relate_mailstore.types import INBOX, MessageId

INLINE_CHARACTERS = 32 * 1024
"""HTML that is sanitised on the event loop; longer one in a thread."""

Images = Annotated[bool, Query(description="Whether remote images are loaded, which tells their servers.")]
AsText = Annotated[bool, Query(description="Whether the plain text is shown, although there is HTML.")]

router = APIRouter(route_class=PageRoute)


@router.get("/messages/{email_id:uuid}")
async def show_message(
    request: Request,
    email_id: UUID,
    visitor: ReadingVisitor,
    services: InjectedServices,
    *,
    images: Images = False,
    text: AsText = False,
    mailbox: Annotated[str, Query(max_length=MAX_NAME_OCTETS)] = "",
    q: Search = "",
) -> Response:
    """Show a message of a search, or within `mailbox` if that has it. The page marks it as read when it has loaded."""
    principal = visitor.principal
    listed = await services.store.message(principal.account_id, MessageId(email_id))
    raw = await services.store.open(principal.account_id, listed.message.id)
    message = await read_detail(principal, services, listed, raw)
    shows_html = message.html_body is not None and not (text and message.text_body is not None)
    blocked = 0
    if shows_html and not images:
        blocked = (await _sanitise(message.html_body or "", {}, remote_images=False)).blocked_images
    mailboxes = await count_mailboxes(services.store, principal.account_id)
    within = _mailbox_of(message.mailboxes, mailbox)
    place = Place(within, q.strip())
    uses = {mailbox.special_use for mailbox in mailboxes if mailbox.name in message.mailboxes}
    return render(
        request,
        "mail/message.html",
        visitor,
        message=message,
        mailboxes=mailboxes,
        within=within,
        place=place,
        beside=await place.neighbours(services, principal.account_id, listed),
        is_draft=DRAFTS in uses,
        is_trash=any(each.name == within and each.special_use == TRASH for each in mailboxes),
        ends=[*ends_of(await read_journey(email_id, principal, services))] if SENT in uses else [],
        labels=await services.labels.all(principal.account_id),
        shows_html=shows_html,
        images=images,
        blocked=blocked,
        sandbox=FRAME_SANDBOX,
    )


def _mailbox_of(mailboxes: Sequence[str], asked: str) -> str:
    """The mailbox that a message is shown in: the requested one, else the INBOX, else the first."""
    return next((name for name in (asked, INBOX, *mailboxes) if name in mailboxes), "")


@router.get("/messages/{email_id:uuid}/html")
async def show_message_html(
    email_id: UUID, visitor: ReadingVisitor, services: InjectedServices, images: Images = False
) -> Response:
    """Get the sanitised HTML of a message, as the document of a frame."""
    sanitised = await _read_html(email_id, visitor, services, remote_images=images)
    return frame_document(sanitised.html, remote_images=images)


async def _read_html(email_id: UUID, visitor: Visitor, services: Services, *, remote_images: bool) -> Sanitised:
    """Raises MessageNotFound."""
    account_id = visitor.principal.account_id
    listed = await services.store.message(account_id, MessageId(email_id))
    raw = await services.store.open(account_id, listed.message.id)
    html = (await read_bodies(raw, listed.message.index)).html_body or ""
    inline = await read_inline_images(raw, listed.message.index, html)
    return await _sanitise(html, inline, remote_images=remote_images)


async def _sanitise(html: str, inline_images: Mapping[str, str], *, remote_images: bool) -> Sanitised:
    if len(html) <= INLINE_CHARACTERS:
        return sanitise(html, inline_images, remote_images=remote_images)
    return await asyncio.to_thread(sanitise, html, inline_images, remote_images=remote_images)
