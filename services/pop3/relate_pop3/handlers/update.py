"""QUIT: the end of the session, in TRANSACTION by way of the UPDATE state (RFC 1939 §4, §6)."""

from relate_mailstore.ports import MailStore
from relate_mailstore.types import Flag, FlagChange
from relate_pop3 import replies
from relate_pop3.commands import Bare
from relate_pop3.conversation import Conversation
from relate_pop3.maildrop import Maildrop
from relate_pop3.states import State
from relate_wire.reply import NextStep, Reply

MARK_SEEN = FlagChange(add=Flag.SEEN)


async def on_quit(conversation: Conversation, _: Bare) -> Reply:
    """RFC 1939 §4, §6. The lock is released before the reply, so that the client may reconnect at once."""
    context = conversation.context
    try:
        if conversation.state is State.TRANSACTION:
            conversation.state = State.UPDATE
            await _update(context.store, conversation.maildrop)
    finally:
        await conversation.cleanup.aclose()
    return replies.ok(f"POP3 server {context.server_name} signing off", NextStep.CLOSE)


async def _update(store: MailStore, maildrop: Maildrop) -> None:
    """Apply the marks. The flags come first, so that no message has been removed when they fail."""
    if seen := maildrop.newly_seen():
        await store.set_flags(maildrop.account_id, maildrop.mailbox_id, seen, MARK_SEEN)
    if deleted := maildrop.deleted():
        await store.expunge(maildrop.account_id, maildrop.mailbox_id, deleted)
