"""APPEND, of one message or several (RFC 9051 §6.3.12, RFC 3502), and REPLACE (RFC 8508)."""

from collections.abc import Iterable

from relate_imap.answers import Answer, Refused, ok
from relate_imap.commands import Append, Appended, Replace
from relate_imap.conversation import Conversation
from relate_imap.flags import spelled
from relate_imap.handlers.copying import check_quota, try_create
from relate_imap.sequences import encode_set
from relate_mailstore import types
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Delivery, Destination, Incoming


async def on_append(conversation: Conversation, command: Append) -> Answer:
    """All of the messages or none. One alone shares its commit with whatever else is being delivered."""
    messages = [_incoming(conversation, message) for message in command.messages]
    await _check_room(conversation, messages)
    try:
        appended = await _append(conversation, command.mailbox, messages)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Appended", _append_uid(appended))


async def on_replace(conversation: Conversation, command: Replace) -> Answer:
    """The new message is there before the client hears that the old one is gone (RFC 8508 §3.3)."""
    store, view = conversation.context.store, conversation.writable
    message = _incoming(conversation, command.message)
    replaced = view.snapshot.mailbox.id, _uid(conversation, command)
    await _check_room(conversation, [message])
    try:
        appended = await store.append(conversation.account, command.mailbox, [message], replaced)
    except MailboxNotFound:
        raise try_create() from None
    return ok("Replaced", untagged=f"* OK [{_append_uid(appended)}] Replacement\r\n".encode())


async def _append(conversation: Conversation, mailbox: str, messages: list[Incoming]) -> types.Appended:
    store, account = conversation.context.store, conversation.account
    if len(messages) > 1:
        return await store.append(account, mailbox, messages)
    message = messages[0]
    destination = Destination(account, mailbox, message.flags, message.keywords)
    receipt = await store.deliver(Delivery(message.raw, (destination,), message.internal_date))
    uid_validity, uid = receipt.entered[0]
    return types.Appended(uid_validity, (uid,))


async def _check_room(conversation: Conversation, messages: Iterable[Incoming]) -> None:
    await check_quota(conversation, sum(len(message.raw) for message in messages))


def _incoming(conversation: Conversation, message: Appended) -> Incoming:
    """Raises Refused for what is no message, or too much of one."""
    if not message.octets:
        raise Refused("There is nothing to append")  # RFC 3502 §6.3.11: how a client cancels
    if len(message.octets) > conversation.context.append_limit:
        raise Refused("The message is too big", "TOOBIG")
    flags = spelled(message.flags, conversation.view.snapshot if conversation.view else None)
    return Incoming(message.octets, flags.flags, flags.keywords, message.internal_date)


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
