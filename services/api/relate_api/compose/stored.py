"""Drafts in the store: where one is, and how a version is stored."""

from http import HTTPStatus

from fastapi import HTTPException

from relate_api.access.dependencies import Services
from relate_api.compose.pending import with_pending
from relate_api.compose.sending import Caller, Written, with_author
from relate_api.compose.special import find_special
from relate_api.compose.uploads import too_large
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.mailbox_names import DRAFTS
from relate_mailstore.types import AccountId, Flag, MailboxId, MessageId, NewMessage, Uid

Place = tuple[MailboxId, Uid]


async def store_draft(caller: Caller, written: Written, replaced: Place | None) -> MessageId:
    """Store a version of a draft, and remove the one that it replaces, whose flags it keeps; returns its id.

    Raises HTTPException with 409, 413 or 422, MessageNotFound if the one to replace is gone, OverQuota, TooManyFields.
    """
    services, account_id = caller.services, caller.principal.account_id
    message = await with_author(caller, with_pending(written))
    if len(message) > services.submission.max_content:
        raise too_large(services)
    mailbox = await find_special(services, account_id, DRAFTS)
    older = None if replaced is None else (await services.store.snapshot(account_id, mailbox)).entries.find(replaced[1])
    flags, keywords = (0, ()) if older is None else (older.flags & ~Flag.DELETED, older.keywords)
    new = NewMessage(message, flags | Flag.DRAFT | Flag.SEEN, keywords)
    appended = await services.store.append(account_id, mailbox, [new], replaced, caller.principal.user.quota)
    snapshot = await services.store.snapshot(account_id, mailbox)
    entry = snapshot.entries.find(appended.uids[0])
    if entry is None:  # another client has moved or deleted it since
        raise HTTPException(HTTPStatus.CONFLICT, "the draft was moved at once")
    return entry.message_id


async def locate_draft(services: Services, account_id: AccountId, draft_id: MessageId) -> Place:
    """The mailbox and UID of a draft. Raises MessageNotFound for a message that is none."""
    snapshot = await services.store.snapshot(account_id, await find_special(services, account_id, DRAFTS))
    for uid in snapshot.entries.uids_of([draft_id]).get(draft_id, []):
        return snapshot.mailbox.id, uid
    raise MessageNotFound(f"draft {draft_id} of account {account_id}")
