"""COPY and MOVE (RFC 9051 §6.4.7-8, RFC 6851), with the UIDs that came of it (RFC 4315 §3)."""

from collections.abc import Sequence

from relate_imap.commands import Copy
from relate_imap.conversation import Conversation
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_imap.selected.mailbox import NumberedEntry
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Copied


async def on_copy(conversation: Conversation, command: Copy) -> TaggedResponse:
    """The client's own copies: nothing changes here."""
    store, selected = conversation.context.store, conversation.selected
    picked = _pick(conversation, command)
    if not picked:
        return ok("There was nothing to copy")
    mailbox_id, quota = selected.snapshot.mailbox.id, quota_of(conversation)
    try:
        copied = await store.copy(conversation.account, mailbox_id, _uids(picked), command.mailbox, quota)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Copied", _copy_uid(copied)) if copied.uids else ok("Nothing of it was there any more")


async def on_move(conversation: Conversation, command: Copy) -> TaggedResponse:
    """COPYUID comes before the client hears that they are gone (RFC 6851 §4.3)."""
    store, selected = conversation.context.store, conversation.writable
    picked = _pick(conversation, command)
    if not picked:
        return ok("There was nothing to move")
    try:
        moved = await store.move(conversation.account, selected.snapshot.mailbox.id, _uids(picked), command.mailbox)
    except MailboxNotFound:
        raise try_create() from None
    if not moved.uids:
        return ok("Nothing of it was there any more")
    return ok("Moved", untagged=f"* OK [{_copy_uid(moved)}] Moved UIDs\r\n".encode())


def quota_of(conversation: Conversation) -> int | None:
    """Octets that the account may hold; None for no limit."""
    return conversation.granted.user.quota if conversation.granted else None


def _pick(conversation: Conversation, command: Copy) -> Sequence[NumberedEntry]:
    return conversation.messages_in(command.sequence_set, uid=command.verb.startswith("UID "))


def _uids(picked: Sequence[NumberedEntry]) -> list[int]:
    return [entry.uid for _, entry in picked]


def _copy_uid(copied: Copied) -> str:
    sources, targets = zip(*copied.uids, strict=True)
    return f"COPYUID {copied.uid_validity} {encode_set(sources)} {encode_set(targets)}"


def try_create() -> Refused:
    """RFC 9051 §7.1. A new error each time: one that is raised again keeps the frames of each time."""
    return Refused("There is no such mailbox", "TRYCREATE")
