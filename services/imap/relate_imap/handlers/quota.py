"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one quota root per account, named "", with STORAGE in KiB."""

from relate_imap import responses
from relate_imap.commands import MailboxCommand, SetQuota
from relate_imap.conversation import Conversation
from relate_imap.grammar import mailbox_names
from relate_imap.replies import TaggedResponse, no, ok

ROOT = ""


async def on_getquota(conversation: Conversation, command: MailboxCommand) -> TaggedResponse:
    """RFC 9208 §4.1.1"""
    if command.mailbox != ROOT:
        return no("There is no such quota root", "NONEXISTENT")
    return ok("Getquota completed", untagged=await _quota(conversation))


async def on_getquotaroot(conversation: Conversation, command: MailboxCommand) -> TaggedResponse:
    """RFC 9208 §4.1.2"""
    mailbox = await conversation.context.store.mailbox(conversation.account, command.mailbox)
    name = mailbox_names.encode_mailbox(mailbox.name, utf8=conversation.utf8)
    roots = b"* QUOTAROOT %b %b\r\n" % (name, responses.string(ROOT.encode()))
    return ok("Getquotaroot completed", untagged=roots + await _quota(conversation))


async def on_setquota(_: Conversation, __: SetQuota) -> TaggedResponse:
    """RFC 9208 §4.1.3: refused, because administrators set quotas on the command line."""
    return no("Quotas are set by the administrator", "NOPERM")


async def _quota(conversation: Conversation) -> bytes:
    """`* QUOTA "" (STORAGE used limit)`; an empty list without a limit."""
    user = conversation.granted
    limit = user.user.quota if user else None
    if limit is None:
        return b"* QUOTA %b ()\r\n" % responses.string(ROOT.encode())
    used = await conversation.context.store.usage(conversation.account)
    return b"* QUOTA %b (STORAGE %d %d)\r\n" % (responses.string(ROOT.encode()), -(-used // 1024), limit // 1024)
