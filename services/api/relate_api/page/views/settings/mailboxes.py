"""`/settings/mailboxes`: the mailboxes; create, rename, empty and delete them, by the operations of the API."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import ValidationError

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.mailboxes.endpoints import Id, create_mailbox, delete_mailbox, get_mailbox, patch_mailbox
from relate_api.mailboxes.schemas import MailboxDetails, MailboxPatch, NewMailbox
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.views.settings.sections import MAILBOXES, as_sentence, show_section
from relate_api.page.visitors import EditingVisitor, ReadingVisitor, Visitor
from relate_mailstore.errors import InvalidMailboxName, MailboxExists, TooManyMailboxes
from relate_mailstore.mailbox_names import JUNK, MAX_NAME_OCTETS, TRASH
from relate_mailstore.types import INBOX, MailboxId

EMPTIED = frozenset({JUNK, TRASH})
"""The special uses of mailboxes that are emptied at once: what is in others is worth a look."""

_ONE = MAILBOXES + "/{mailbox_id}"
_NO_NAME = f"A mailbox needs a name of at most {MAX_NAME_OCTETS:,} octets."
_SENTENCES: Mapping[type[Exception], str] = {
    MailboxExists: "There is a mailbox with this name.",
    TooManyMailboxes: "There are as many mailboxes as an account may have.",
}
_REFUSALS = (ValidationError, HTTPException, InvalidMailboxName, MailboxExists, TooManyMailboxes)

Typed = Annotated[str, Form()]

router = APIRouter(route_class=PageRoute)


@router.get(MAILBOXES)
async def list_mailboxes(request: Request, visitor: ReadingVisitor, services: InjectedServices) -> Response:
    """List the mailboxes with their counts."""
    return await _show_list(request, visitor, services)


@router.post(MAILBOXES)
async def add_mailbox(
    request: Request, visitor: EditingVisitor, services: InjectedServices, name: Typed = ""
) -> Response:
    """Create a mailbox."""
    try:
        await create_mailbox(NewMailbox(name=name.strip()), visitor.principal, services, Response())
    except _REFUSALS as refused:
        return await _show_list(request, visitor, services, _sentence(refused), name)
    return lead_to(MAILBOXES, Done.MAILBOX_SAVED)


@router.get(_ONE)
async def show_mailbox(
    mailbox_id: Id, request: Request, visitor: EditingVisitor, services: InjectedServices
) -> Response:
    """Show what can be done with a mailbox."""
    return await _show_one(request, visitor, services, mailbox_id)


@router.post(_ONE)
async def rename_mailbox(
    mailbox_id: Id, request: Request, visitor: EditingVisitor, services: InjectedServices, name: Typed = ""
) -> Response:
    """Rename a mailbox, and those below it."""
    try:
        await patch_mailbox(mailbox_id, MailboxPatch(name=name.strip()), visitor.principal, services)
    except _REFUSALS as refused:
        return await _show_one(request, visitor, services, mailbox_id, _sentence(refused), name)
    return lead_to(MAILBOXES, Done.MAILBOX_SAVED)


@router.post(_ONE + "/empty")
async def empty_mailbox(mailbox_id: Id, visitor: EditingVisitor, services: InjectedServices) -> Response:
    """Delete all messages of a mailbox for junk or trash."""
    mailbox = await get_mailbox(mailbox_id, visitor.principal, services)
    if mailbox.special_use not in EMPTIED:
        raise HTTPException(HTTPStatus.CONFLICT, "Only a mailbox for junk or trash is emptied at once.")
    store, account_id = services.store, visitor.principal.account_id
    entries = (await store.snapshot(account_id, mailbox.name)).entries
    await store.expunge(account_id, MailboxId(mailbox_id), [entry.uid for entry in entries])
    return lead_to(MAILBOXES, Done.MAILBOX_EMPTIED)


@router.post(_ONE + "/delete")
async def remove_mailbox(mailbox_id: Id, visitor: EditingVisitor, services: InjectedServices) -> Response:
    """Delete a mailbox with its messages."""
    await delete_mailbox(mailbox_id, visitor.principal, services)
    return lead_to(MAILBOXES, Done.MAILBOX_REMOVED)


def _sentence(refused: Exception) -> str:
    if isinstance(refused, ValidationError):
        return _NO_NAME
    if isinstance(refused, HTTPException):
        return as_sentence(refused.detail)
    return _SENTENCES.get(type(refused)) or as_sentence(str(refused))


async def _show_list(
    request: Request, visitor: Visitor, services: Services, error: str = "", name: str = ""
) -> Response:
    mailboxes = await count_mailboxes(services.store, visitor.principal.account_id)
    return show_section(request, visitor, MAILBOXES, "mailboxes.html", error, mailboxes=mailboxes, name=name)


async def _show_one(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    mailbox_id: int,
    error: str = "",
    name: str | None = None,
) -> Response:
    mailbox = await get_mailbox(mailbox_id, visitor.principal, services)
    return show_section(
        request,
        visitor,
        MAILBOXES,
        "mailbox.html",
        error,
        mailbox=mailbox,
        name=mailbox.name if name is None else name,
        is_own=_is_own(mailbox),
        is_emptied=mailbox.special_use in EMPTIED,
    )


def _is_own(mailbox: MailboxDetails) -> bool:
    """Whether the person has made it, so that it can be deleted."""
    return mailbox.name != INBOX and mailbox.special_use is None
