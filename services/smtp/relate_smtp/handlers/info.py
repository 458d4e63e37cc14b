"""VRFY, EXPN, HELP, NOOP: commands that do not change the session (RFC 5321 §3.5)."""

from relate_smtp import replies
from relate_smtp.commands import Bare
from relate_smtp.conversation import Conversation
from relate_wire.reply import Reply


async def on_vrfy(_: Conversation, __: Bare) -> Reply:
    """RFC 5321 §3.5.3, §7.3: the reply does not reveal which addresses exist."""
    return replies.CANNOT_VERIFY


async def on_expn(_: Conversation, __: Bare) -> Reply:
    """RFC 5321 §3.5.2"""
    return replies.NOT_IMPLEMENTED


async def on_help(_: Conversation, __: Bare) -> Reply:
    """RFC 5321 §4.1.1.8"""
    return replies.HELP


async def on_noop(_: Conversation, __: Bare) -> Reply:
    """RFC 5321 §4.1.1.9"""
    return replies.OK
