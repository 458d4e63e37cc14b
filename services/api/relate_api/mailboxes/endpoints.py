"""`/api/mailboxes`: list, create, change, delete. IMAP clients see the same mailboxes by the same rules."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response

from relate_api.access.dependencies import InjectedServices, Reader, Services, Writer
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.mailboxes.schemas import MailboxDetails, MailboxList, MailboxPatch, NewMailbox
from relate_mailstore.errors import InvalidMailboxName, MailboxExists, MailboxNotFound, TooManyMailboxes
from relate_mailstore.mailbox_names import DELIMITER, check_new_name, check_renaming, parents
from relate_mailstore.types import INBOX, AccountId, Mailbox

# Ids are 64-bit integers in the database.
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

router = APIRouter(prefix="/api/mailboxes", tags=["mailboxes"])


@router.get("")
async def list_mailboxes(principal: Reader, services: InjectedServices) -> MailboxList:
    """List all mailboxes with their counts."""
    items = await count_mailboxes(services.store, principal.account_id)
    return MailboxList(items=list(items), next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_mailbox(
    new: NewMailbox, principal: Writer, services: InjectedServices, response: Response
) -> MailboxDetails:
    """Create a mailbox, and subscribe to it."""
    store, account_id = services.store, principal.account_id
    mailbox = await store.create_mailbox(account_id, _checked(new.name))
    await store.subscribe(account_id, mailbox.name, True)
    await _create_parents(services, account_id, mailbox.name)
    response.headers["Location"] = f"/api/mailboxes/{mailbox.id}"
    return await _details(services, account_id, mailbox.name)


@router.get("/{mailbox_id}")
async def get_mailbox(mailbox_id: Id, principal: Reader, services: InjectedServices) -> MailboxDetails:
    """Get a mailbox with its counts."""
    mailbox = await _find(services, principal.account_id, mailbox_id)
    return await _details(services, principal.account_id, mailbox.name)


@router.patch("/{mailbox_id}")
async def patch_mailbox(
    mailbox_id: Id, patch: MailboxPatch, principal: Writer, services: InjectedServices
) -> MailboxDetails:
    """Rename a mailbox, subscribe to it or unsubscribe. INBOX keeps its name, and so do mailboxes below it."""
    store, account_id = services.store, principal.account_id
    mailbox = await _find(services, account_id, mailbox_id)
    name = mailbox.name
    if patch.name is not None and patch.name != name:
        name = await _rename(services, mailbox, patch.name)
    if patch.subscribed is not None:
        await store.subscribe(account_id, name, patch.subscribed)
    return await _details(services, account_id, name)


@router.delete("/{mailbox_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_mailbox(mailbox_id: Id, principal: Writer, services: InjectedServices) -> None:
    """Delete a mailbox with its messages, but not those below it.

    INBOX, and mailboxes with a special use, cannot be deleted: clients would store mail nowhere.
    """
    mailbox = await _find(services, principal.account_id, mailbox_id)
    _expect_ordinary(mailbox, "deleted")
    await services.store.delete_mailbox(principal.account_id, mailbox.name)
    await services.store.subscribe(principal.account_id, mailbox.name, False)


async def _rename(services: Services, mailbox: Mailbox, new_name: str) -> str:
    """Rename a mailbox; its new name as it is stored. The subscriptions to it and to those below it follow."""
    store, account_id = services.store, mailbox.account_id
    if mailbox.name == INBOX:
        raise HTTPException(HTTPStatus.CONFLICT, "INBOX cannot be renamed")
    name = _checked(new_name)
    try:
        check_renaming(mailbox.name, name)
    except InvalidMailboxName as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    await store.rename_mailbox(account_id, mailbox.name, name)
    await _create_parents(services, account_id, name)
    renamed = (await store.mailbox(account_id, name)).name
    await _move_subscriptions(services, account_id, mailbox.name, renamed)
    return renamed


async def _move_subscriptions(services: Services, account_id: AccountId, was: str, name: str) -> None:
    """Subscribe to the new names of a renamed mailbox and of those below it, and forget the old names."""
    store = services.store
    existing = {mailbox.name for mailbox in await store.mailboxes(account_id)}
    for old in await store.subscriptions(account_id):
        if old != was and not old.startswith(was + DELIMITER):
            continue
        await store.subscribe(account_id, old, False)  # first, because the number of names is limited
        new = name + old.removeprefix(was)
        if new in existing:
            await store.subscribe(account_id, new, True)


def _checked(name: str) -> str:
    try:
        return check_new_name(name)
    except InvalidMailboxName as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def _expect_ordinary(mailbox: Mailbox, what: str) -> None:
    if mailbox.name == INBOX or mailbox.special_use:
        raise HTTPException(HTTPStatus.CONFLICT, f"INBOX and mailboxes with a special use cannot be {what}")


async def _find(services: Services, account_id: AccountId, mailbox_id: int) -> Mailbox:
    """A mailbox by its id. Raises MailboxNotFound."""
    for mailbox in await services.store.mailboxes(account_id):
        if mailbox.id == mailbox_id:
            return mailbox
    raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")


async def _details(services: Services, account_id: AccountId, name: str) -> MailboxDetails:
    snapshot = await services.store.snapshot(account_id, name)
    subscribed = snapshot.mailbox.name in await services.store.subscriptions(account_id)
    return MailboxDetails.of(snapshot, subscribed=subscribed)


async def _create_parents(services: Services, account_id: AccountId, name: str) -> None:
    """Create the missing levels above a mailbox, while the limit allows, as IMAP does."""
    for parent in parents(name):
        try:
            await services.store.create_mailbox(account_id, parent)
        except (MailboxExists, TooManyMailboxes):
            break  # those above it exist
