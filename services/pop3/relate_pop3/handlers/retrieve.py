"""RETR, TOP: sending a message (RFC 1939 §5, §7)."""

from collections.abc import Sequence

from relate_mailstore.ports import RawMessage
from relate_mailstore.types import Entry, MessageId
from relate_pop3 import content, replies
from relate_pop3.commands import MessageCommand, Top
from relate_pop3.conversation import Conversation
from relate_wire.reply import Facts, Reply

ONE_RETRIEVED = Facts(messages_retrieved=1)


async def on_retr(conversation: Conversation, command: MessageCommand) -> Reply:
    """RFC 1939 §5. The message is marked as seen by QUIT."""
    maildrop = conversation.maildrop
    entry = maildrop.entry(command.number)
    raw = await _open(conversation, entry, maildrop.upcoming(command.number))
    octets, chunks = await content.encode_message(raw, conversation.utf8)
    maildrop.mark_retrieved(command.number)
    return replies.message(f"{octets} octets", chunks, ONE_RETRIEVED)


async def on_top(conversation: Conversation, command: Top) -> Reply:
    """RFC 1939 §7. A preview does not mark the message as seen."""
    raw = await _open(conversation, conversation.maildrop.entry(command.number))
    chunks = await content.encode_top(raw, conversation.utf8, command.lines)
    return replies.message("Top of message follows", chunks)


async def _open(conversation: Conversation, entry: Entry, prefetch: Sequence[MessageId] = ()) -> RawMessage:
    """Open a message, and name the messages to prefetch. Raises MessageNotFound."""
    return await conversation.context.store.open(conversation.maildrop.account_id, entry.message_id, prefetch)
