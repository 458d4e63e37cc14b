"""APPEND of one or several messages (RFC 9051 §6.3.12, RFC 3502), and REPLACE (RFC 8508)."""

from relate_imap.commands import Append, AppendMessage, Replace
from relate_imap.conversation import Conversation
from relate_imap.handlers.copy_move import quota_of, try_create
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_imap.selected.flags import in_mailbox_spelling
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Appended, NewMessage, Snapshot, Uid


async def on_append(conversation: Conversation, command: Append) -> TaggedResponse:
    """Append all messages or none. A single message shares its commit with concurrent deliveries."""
    messages = [await _incoming(conversation, command.mailbox, message) for message in command.messages]
    try:
        appended = await conversation.context.store.append(
            conversation.account, command.mailbox, messages, quota=quota_of(conversation)
        )
    except MailboxNotFound:
        raise try_create() from None
    return ok("Appended", _append_uid(appended))


async def on_replace(conversation: Conversation, command: Replace) -> TaggedResponse:
    """The new message is announced before the old one is expunged (RFC 8508 §3.3)."""
    store, selected = conversation.context.store, conversation.writable
    message = await _incoming(conversation, command.mailbox, command.message)
    replaced, quota = (selected.snapshot.mailbox.id, _replaced_uid(conversation, command)), quota_of(conversation)
    try:
        appended = await store.append(conversation.account, command.mailbox, [message], replaced, quota)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Replaced", untagged=f"* OK [{_append_uid(appended)}] Replacement\r\n".encode())


async def _incoming(conversation: Conversation, mailbox: str, message: AppendMessage) -> NewMessage:
    """Raises Refused for an empty or too large message, and for a mailbox that does not exist."""
    if not message.octets:
        raise Refused("The message is empty")  # RFC 3502 §6.3.11: how a client cancels
    if len(message.octets) > conversation.context.append_limit:
        raise Refused("The message is too large", "TOOBIG")
    flags = message.flags
    if flags.keywords:
        flags = in_mailbox_spelling(flags, await _destination(conversation, mailbox))
    return NewMessage(message.octets, flags.flags, flags.keywords, message.internal_date)


async def _destination(conversation: Conversation, mailbox: str) -> Snapshot:
    try:
        return await conversation.context.store.snapshot(conversation.account, mailbox)
    except MailboxNotFound:
        raise try_create() from None


def _replaced_uid(conversation: Conversation, command: Replace) -> Uid:
    """The UID of the message to replace; number 0 is "*". Raises Refused."""
    selected = conversation.selected
    if command.number == 0 and len(selected):
        return selected.entries[-1].uid
    if command.verb.startswith("UID "):
        uid = Uid(command.number)
        if selected.number_of(uid) is None:
            raise Refused("There is no message with that UID", "NONEXISTENT")
        return uid
    if not 1 <= command.number <= len(selected):
        raise Refused("There is no message with that number", bad=True)
    return selected.entries[command.number - 1].uid


def _append_uid(appended: Appended) -> str:
    return f"APPENDUID {appended.uid_validity} {encode_set(appended.uids)}"
