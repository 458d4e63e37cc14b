"""HELO, EHLO, QUIT: the beginning and the end of a session (RFC 5321 §3.1, §3.2, §3.8)."""

from relate_smtp import replies
from relate_smtp.commands import Bare, Hello
from relate_smtp.conversation import Conversation
from relate_smtp.states import State
from relate_wire.reply import Reply


async def on_helo(conversation: Conversation, command: Hello) -> Reply:
    """RFC 5321 §4.1.1.1"""
    _greet(conversation, command)
    return replies.hello(conversation.context.server_name)


async def on_ehlo(conversation: Conversation, command: Hello) -> Reply:
    """RFC 5321 §4.1.1.1"""
    _greet(conversation, command)
    context = conversation.context
    return replies.hello(context.server_name, context.keywords(conversation.peer))


async def on_quit(conversation: Conversation, _: Bare) -> Reply:
    """RFC 5321 §4.1.1.10"""
    conversation.end_transaction()
    return replies.goodbye(conversation.context.server_name)


def _greet(conversation: Conversation, command: Hello) -> None:
    """RFC 5321 §4.1.4: a repeated HELO or EHLO resets the session like RSET."""
    conversation.end_transaction()
    conversation.hello = command
    conversation.state = State.READY
