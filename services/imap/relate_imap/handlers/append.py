"""APPEND, of one message or several (RFC 9051 §6.3.12, RFC 3502), and REPLACE (RFC 8508)."""

from relate_imap.commands import Append, Appended, Replace
from relate_imap.conversation import Conversation
from relate_imap.flags import spelled
from relate_imap.handlers.copy_move import quota_of, try_create
from relate_imap.replies import Answer, Refused, ok
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore import types
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Delivery, Destination, NewMessage, Snapshot


async def on_append(conversation: Conversation, command: Append) -> Answer:
    """All of the messages or none. One alone shares its commit with whatever else is being delivered."""
    messages = [await _incoming(conversation, command.mailbox, message) for message in command.messages]
    try:
        appended = await _append(conversation, command.mailbox, messages)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Appended", _append_uid(appended))


async def on_replace(conversation: Conversation, command: Replace) -> Answer:
    """The new message is there before the client hears that the old one is gone (RFC 8508 §3.3)."""
    store, view = conversation.context.store, conversation.writable
    message = await _incoming(conversation, command.mailbox, command.message)
    replaced, quota = (view.snapshot.mailbox.id, _uid(conversation, command)), quota_of(conversation)
    try:
        appended = await store.append(conversation.account, command.mailbox, [message], replaced, quota)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Replaced", untagged=f"* OK [{_append_uid(appended)}] Replacement\r\n".encode())


async def _append(conversation: Conversation, mailbox: str, messages: list[NewMessage]) -> types.Appended:
    store, account, quota = conversation.context.store, conversation.account, quota_of(conversation)
    if len(messages) > 1:
        return await store.append(account, mailbox, messages, quota=quota)
    message = messages[0]
    destination = Destination(account, mailbox, message.flags, message.keywords, quota)
    receipt = await store.deliver(Delivery(message.raw, (destination,), message.internal_date))
    uid_validity, uid = receipt.entered[0]
    return types.Appended(uid_validity, (uid,))


async def _incoming(conversation: Conversation, mailbox: str, message: Appended) -> NewMessage:
    """Raises Refused for what is no message, or too much of one, or for a mailbox that is not there."""
    if not message.octets:
        raise Refused("There is nothing to append")  # RFC 3502 §6.3.11: how a client cancels
    if len(message.octets) > conversation.context.append_limit:
        raise Refused("The message is too big", "TOOBIG")
    flags = message.flags
    if flags.keywords:
        flags = spelled(flags, await _target(conversation, mailbox))
    return NewMessage(message.octets, flags.flags, flags.keywords, message.internal_date)


async def _target(conversation: Conversation, mailbox: str) -> Snapshot:
    try:
        return await conversation.context.store.snapshot(conversation.account, mailbox)
    except MailboxNotFound:
        raise try_create() from None


def _uid(conversation: Conversation, command: Replace) -> int:
    """The UID of the message to be replaced; 0 stands for "*". Raises Refused."""
    view = conversation.selected
    if command.number == 0 and len(view):
        return view.entries[-1].uid
    if command.verb.startswith("UID "):
        if view.number(command.number) is None:
            raise Refused("There is no message of that UID", "NONEXISTENT")
        return command.number
    if not 1 <= command.number <= len(view):
        raise Refused("There is no message of that number", bad=True)
    return view.entries[command.number - 1].uid


def _append_uid(appended: types.Appended) -> str:
    return f"APPENDUID {appended.uid_validity} {encode_set(appended.uids)}"
