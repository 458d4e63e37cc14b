"""IDLE (RFC 2177): the client waits, and is told of changes as they come, whoever makes them."""

from collections.abc import AsyncGenerator, AsyncIterator

from relate_imap.commands import NoArguments
from relate_imap.conversation import Conversation
from relate_imap.framing import Mode
from relate_imap.replies import TaggedResponse, bad, ok
from relate_imap.selected.updates import pending_updates
from relate_mailstore.types import MailboxNotice
from relate_wire.ports import Push


async def on_idle(conversation: Conversation, command: NoArguments) -> TaggedResponse:
    """Until DONE, or until the session times out.

    The first look comes after the subscription, so that nothing is missed, and before the client hears "+": all that is
    pushed from then on has its origin.
    """
    async with conversation.context.store.listen(conversation.account) as changes:
        missed = await pending_updates(conversation, command.verb)
        pushes = _pushes(conversation, command.verb, changes)
        frame = await conversation.client.ask(missed + b"+ idling\r\n", Mode.IDLE, pushes)
    if frame.fault is not None or frame.text.strip().upper() != b"DONE":
        return bad("DONE was expected")
    return ok("That was it")


async def _pushes(
    conversation: Conversation, verb: str, changes: AsyncIterator[MailboxNotice]
) -> AsyncGenerator[Push, None]:
    """What the client is to be told, as it comes."""
    selected = conversation.selected_mailbox
    if selected is None:
        return
    async for change in changes:
        if change.mailbox_id == selected.snapshot.mailbox.id and (octets := await pending_updates(conversation, verb)):
            yield Push(octets, (change.origin,) if change.origin else (), change.committed)
