"""COPY and MOVE (RFC 9051 §6.4.7-8, RFC 6851), with COPYUID (RFC 4315 §3)."""

from relate_imap.commands import Copy
from relate_imap.conversation import Conversation
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_imap.selected.mailbox import NumberedEntries
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Copied


async def on_copy(conversation: Conversation, command: Copy) -> TaggedResponse:
    """Copy messages; nothing changes in the selected mailbox."""
    store, selected = conversation.context.store, conversation.selected
    messages = _messages(conversation, command)
    if not messages:
        return ok("No messages found")
    mailbox_id, quota = selected.snapshot.mailbox.id, quota_of(conversation)
    try:
        copied = await store.copy(conversation.account, mailbox_id, messages.uids, command.mailbox, quota)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Copied", _copy_uid(copied)) if copied.uids else ok("The messages no longer exist")


async def on_move(conversation: Conversation, command: Copy) -> TaggedResponse:
    """COPYUID is sent before the EXPUNGE responses (RFC 6851 §4.3)."""
    store, selected = conversation.context.store, conversation.writable
    messages = _messages(conversation, command)
    if not messages:
        return ok("No messages found")
    try:
        moved = await store.move(conversation.account, selected.snapshot.mailbox.id, messages.uids, command.mailbox)
    except MailboxNotFound:
        raise try_create() from None
    if not moved.uids:
        return ok("The messages no longer exist")
    return ok("Moved", untagged=f"* OK [{_copy_uid(moved)}] Moved UIDs\r\n".encode())


def quota_of(conversation: Conversation) -> int | None:
    """The account's quota in octets; None for no limit."""
    return conversation.granted.user.quota if conversation.granted else None


def _messages(conversation: Conversation, command: Copy) -> NumberedEntries:
    return conversation.messages_in(command.sequence_set, uid=command.verb.startswith("UID "))


def _copy_uid(copied: Copied) -> str:
    sources, targets = zip(*copied.uids, strict=True)
    return f"COPYUID {copied.uid_validity} {encode_set(sources)} {encode_set(targets)}"


def try_create() -> Refused:
    """RFC 9051 §7.1. A new exception each time, because a raised one accumulates traceback frames."""
    return Refused("There is no such mailbox", "TRYCREATE")
