"""`/api/emails/{id}/move` and `/copy`, and `/api/emails/bulk/move`.

A message may be in several mailboxes. Moved, it is in the target only; copied, it is in the target as well.
"""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, HTTPException

from relate_api.access.dependencies import InjectedServices, Principal, Services, Writer
from relate_api.emails.schemas import EmailSummary
from relate_api.mailboxes.moving import move_messages
from relate_api.mailboxes.schemas import BulkMove, Moved, Target
from relate_mailstore.errors import MailboxNotFound, MessageNotFound
from relate_mailstore.types import Mailbox, MessageId

router = APIRouter(prefix="/api/emails", tags=["mailboxes"])


@router.post("/bulk/move")
async def move_emails(move: BulkMove, principal: Writer, services: InjectedServices) -> Moved:
    """Move messages to a mailbox, those of each mailbox in one transaction."""
    target = await _find_target(services, principal, move.mailbox)
    mailboxes = [mailbox.name for mailbox in await services.store.mailboxes(principal.account_id)]
    message_ids = {MessageId(email_id) for email_id in move.email_ids}
    return Moved(moved_count=await move_messages(services.store, principal.account_id, message_ids, target, mailboxes))


@router.post("/{email_id:uuid}/move")
async def move_email(email_id: UUID, target: Target, principal: Writer, services: InjectedServices) -> EmailSummary:
    """Move a message to a mailbox."""
    store, account_id, message_id = services.store, principal.account_id, MessageId(email_id)
    listed = await store.message(account_id, message_id)
    mailbox = await _find_target(services, principal, target.mailbox)
    await move_messages(store, account_id, {message_id}, mailbox, listed.mailboxes)
    return EmailSummary.of(await store.message(account_id, message_id))


@router.post("/{email_id:uuid}/copy")
async def copy_email(email_id: UUID, target: Target, principal: Writer, services: InjectedServices) -> EmailSummary:
    """Enter a message in another mailbox as well. One that is there already stays there once."""
    store, account_id, message_id = services.store, principal.account_id, MessageId(email_id)
    listed = await store.message(account_id, message_id)
    mailbox = await _find_target(services, principal, target.mailbox)
    if mailbox.name in listed.mailboxes:
        return EmailSummary.of(listed)
    source = await store.snapshot(account_id, listed.mailboxes[0])
    uids = source.entries.uids_of([message_id]).get(message_id, [])[:1]
    copied = await store.copy(account_id, source.mailbox.id, uids, mailbox.name, principal.user.quota)
    if not copied.uids:  # moved or deleted since
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    return EmailSummary.of(await store.message(account_id, message_id))


async def _find_target(services: Services, principal: Principal, name: str) -> Mailbox:
    """The mailbox to move to. Raises HTTPException with 422 if there is none: the message exists, unlike the target."""
    try:
        return await services.store.mailbox(principal.account_id, name)
    except MailboxNotFound:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "there is no such mailbox") from None
