"""STAT, LIST, UIDL, DELE, RSET, NOOP: the maildrop's messages and their marks (RFC 1939 §5, §7).

Nothing here changes the store: the marks are applied by QUIT, in `handlers.update`.
"""

from relate_pop3 import replies
from relate_pop3.commands import Bare, ListCommand, MessageCommand
from relate_pop3.conversation import Conversation
from relate_wire.reply import Reply


async def on_stat(conversation: Conversation, _: Bare) -> Reply:
    """RFC 1939 §5: the number of messages, and their size in octets."""
    maildrop = conversation.maildrop
    return replies.ok(f"{len(maildrop)} {maildrop.octets}")


async def on_list(conversation: Conversation, command: ListCommand) -> Reply:
    """RFC 1939 §5: the sizes of messages."""
    maildrop, number = conversation.maildrop, command.number
    if number is None:
        return replies.multi_line(str(maildrop), maildrop.sizes())
    return replies.ok(f"{number} {maildrop.entry(number).size}")


async def on_uidl(conversation: Conversation, command: ListCommand) -> Reply:
    """RFC 1939 §7: the unique-ids of messages."""
    maildrop, number = conversation.maildrop, command.number
    if number is None:
        return replies.multi_line(str(maildrop), maildrop.unique_ids())
    return replies.ok(f"{number} {maildrop.unique_id(maildrop.entry(number))}")


async def on_dele(conversation: Conversation, command: MessageCommand) -> Reply:
    """RFC 1939 §5: mark a message as deleted."""
    conversation.maildrop.mark_deleted(command.number)
    return replies.ok(f"Message {command.number} deleted")


async def on_rset(conversation: Conversation, _: Bare) -> Reply:
    """RFC 1939 §5: unmark all deleted messages. Retrieved messages stay marked as such."""
    maildrop = conversation.maildrop
    maildrop.unmark_deleted()
    return replies.ok(f"Maildrop has {maildrop}")


async def on_noop(_: Conversation, __: Bare) -> Reply:
    """RFC 1939 §5"""
    return replies.ok("NOOP completed")
