"""`/api/emails/{id}/move` and `/copy`, and `/api/emails/bulk/move`.

A message may be in several mailboxes. Moved, it is in the target only; copied, it is in the target as well.
"""

from collections.abc import Collection, Iterable
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, HTTPException

from relate_api.access.dependencies import InjectedServices, Principal, Services, Writer
from relate_api.emails.schemas import EmailSummary
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
    return Moved(moved_count=await _move(services, principal, message_ids, mailboxes, target))


@router.post("/{email_id:uuid}/move")
async def move_email(email_id: UUID, target: Target, principal: Writer, services: InjectedServices) -> EmailSummary:
    """Move a message to a mailbox."""
    store, account_id, message_id = services.store, principal.account_id, MessageId(email_id)
    listed = await store.message(account_id, message_id)
    mailbox = await _find_target(services, principal, target.mailbox)
    await _move(services, principal, {message_id}, listed.mailboxes, mailbox)
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


async def _move(
    services: Services,
    principal: Principal,
    message_ids: Collection[MessageId],
    mailboxes: Iterable[str],
    target: Mailbox,
) -> int:
    """Move messages from these mailboxes; how many were there. What is in the target already is only removed."""
    store, account_id = services.store, principal.account_id
    there = {*(await store.snapshot(account_id, target.name)).entries.uids_of(message_ids)}
    for name in mailboxes:
        if name == target.name:
            continue
        try:
            source = await store.snapshot(account_id, name)
        except MailboxNotFound:  # deleted since
            continue
        found = source.entries.uids_of(message_ids)
        arriving = [uids[0] for message_id, uids in found.items() if message_id not in there]
        repeated = {uid for uids in found.values() for uid in uids}.difference(arriving)
        if arriving:
            await store.move(account_id, source.mailbox.id, arriving, target.name)
        if repeated:
            await store.expunge(account_id, source.mailbox.id, repeated)
        there |= found.keys()
    return len(there)


async def _find_target(services: Services, principal: Principal, name: str) -> Mailbox:
    """The mailbox to move to. Raises HTTPException with 422 if there is none: the message exists, unlike the target."""
    try:
        return await services.store.mailbox(principal.account_id, name)
    except MailboxNotFound:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "there is no such mailbox") from None
