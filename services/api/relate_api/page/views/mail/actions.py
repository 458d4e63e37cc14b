"""`/messages/actions`: changes of one or several messages, by a form that names them and the action."""

from collections.abc import Collection
from contextlib import suppress
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Response
from fastapi.responses import RedirectResponse

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.emails.filters import MAX_BULK_ITEMS
from relate_api.mailboxes.moving import move_messages
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute, own_path
from relate_api.page.visitors import WritingVisitor
from relate_mailstore.errors import MailboxNotFound, MessageNotFound
from relate_mailstore.filter_types import LabelId
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS, TRASH
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Flag, FlagChange, Mailbox, MessageId


class Action(StrEnum):
    """What is done."""

    READ = "read"
    UNREAD = "unread"
    FLAG = "flag"
    UNFLAG = "unflag"
    MOVE = "move"
    LABEL = "label"
    UNLABEL = "unlabel"
    DELETE = "delete"


_MARKS: dict[Action, tuple[int, int]] = {
    Action.READ: (Flag.SEEN, 0),
    Action.UNREAD: (0, Flag.SEEN),
    Action.FLAG: (Flag.FLAGGED, 0),
    Action.UNFLAG: (0, Flag.FLAGGED),
}
"""The flags that an action adds and removes."""

router = APIRouter(route_class=PageRoute)


@router.post("/messages/actions")
async def change_messages(
    visitor: WritingVisitor,
    services: InjectedServices,
    action: Annotated[Action, Form()],
    *,
    ids: Annotated[list[UUID], Form(alias="id", max_length=MAX_BULK_ITEMS)] = [],  # noqa: B006 - FastAPI copies it
    mailbox: Annotated[str, Form(max_length=MAX_NAME_OCTETS)] = "",
    label: Annotated[UUID | None, Form()] = None,
    within: Annotated[str, Form(max_length=MAX_NAME_OCTETS)] = "",
    back: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Mark, label, move or delete messages; those that do not exist are skipped. Then lead back.

    Moved and deleted are the messages `within` a mailbox, because one that a person has sent to themselves is in two;
    without it, those of all mailboxes.
    """
    store, account_id = services.store, visitor.principal.account_id
    message_ids = {MessageId(email_id) for email_id in ids}
    if not message_ids:
        return lead_to(own_path(back), Done.UNMARKED)
    if action is Action.MOVE:
        await _move(store, account_id, message_ids, mailbox, within)
        return lead_to(own_path(back), Done.MOVED)
    if action is Action.DELETE:
        return lead_to(own_path(back), await _delete(store, account_id, message_ids, within))
    if action in _MARKS:
        await store.mark_messages(account_id, message_ids, *_MARKS[action])
    else:
        await _label(services, account_id, message_ids, label, adds=action is Action.LABEL)
    return RedirectResponse(own_path(back), HTTPStatus.SEE_OTHER)


async def _label(
    services: Services, account_id: AccountId, message_ids: Collection[MessageId], label_id: UUID | None, *, adds: bool
) -> None:
    """Give messages a label, or take it from them. Raises LabelNotFound."""
    if label_id is None:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "Choose a label.")
    keywords = ((await services.labels.find(account_id, LabelId(label_id))).keyword,)
    change = FlagChange(add_keywords=keywords) if adds else FlagChange(remove_keywords=keywords)
    for message_id in message_ids:
        with suppress(MessageNotFound):
            await services.store.flag_message(account_id, message_id, change)


async def _move(
    store: MailStore, account_id: AccountId, message_ids: Collection[MessageId], name: str, within: str
) -> None:
    try:
        target = await store.mailbox(account_id, name)
    except MailboxNotFound:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such mailbox.") from None
    sources = [within] if within else [mailbox.name for mailbox in await store.mailboxes(account_id)]
    await move_messages(store, account_id, message_ids, target, sources)


async def _delete(store: MailStore, account_id: AccountId, message_ids: Collection[MessageId], within: str) -> Done:
    """Move messages to the trash; `within` the trash, and in an account without one, delete them.

    A list of all mailboxes does not show which of its messages are in the trash already: they stay there.
    """
    mailboxes = await store.mailboxes(account_id)
    trash = next((mailbox for mailbox in mailboxes if mailbox.special_use == TRASH), None)
    sources = [mailbox for mailbox in mailboxes if mailbox.name == within] or mailboxes
    if trash is None or sources == [trash]:
        await _expunge(store, sources, message_ids)
        return Done.DELETED
    names = [mailbox.name for mailbox in sources]
    moved = await _within(store, [mailbox for mailbox in sources if mailbox is not trash], message_ids)
    if moved:
        await move_messages(store, account_id, moved, trash, names)
    return Done.TRASHED if moved else Done.IN_TRASH


async def _expunge(store: MailStore, mailboxes: Collection[Mailbox], message_ids: Collection[MessageId]) -> None:
    """Delete messages from mailboxes."""
    for mailbox in mailboxes:
        with suppress(MailboxNotFound):  # deleted since
            snapshot = await store.snapshot(mailbox.account_id, mailbox.name)
            found = snapshot.entries.uids_of(message_ids)
            if uids := {uid for uids in found.values() for uid in uids}:
                await store.expunge(mailbox.account_id, snapshot.mailbox.id, uids)


async def _within(
    store: MailStore, mailboxes: Collection[Mailbox], message_ids: Collection[MessageId]
) -> set[MessageId]:
    """Those of the messages that are in one of the mailboxes."""
    found: set[MessageId] = set()
    for mailbox in mailboxes:
        with suppress(MailboxNotFound):  # deleted since
            found.update((await store.snapshot(mailbox.account_id, mailbox.name)).entries.uids_of(message_ids))
    return found
