"""IDLE (RFC 2177): updates are pushed to the waiting client as they are committed."""

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

    Pending updates are computed after subscribing, so that none is missed, and before "+", so that every later push
    carries the trace origin of its notice.
    """
    async with conversation.context.store.listen(conversation.account) as notices:
        missed = await pending_updates(conversation, command.verb)
        pushes = _pushes(conversation, command.verb, notices)
        frame = await conversation.client.ask(missed + b"+ idling\r\n", Mode.IDLE, pushes)
    if frame.fault is not None or frame.text.strip().upper() != b"DONE":
        return bad("DONE was expected")
    return ok("Idle completed")


async def _pushes(
    conversation: Conversation, verb: str, notices: AsyncIterator[MailboxNotice]
) -> AsyncGenerator[Push, None]:
    """The updates of the selected mailbox, one push per notice."""
    selected = conversation.selected_mailbox
    if selected is None:
        return
    async for notice in notices:
        if notice.mailbox_id == selected.snapshot.mailbox.id and (octets := await pending_updates(conversation, verb)):
            yield Push(octets, (notice.origin,) if notice.origin else (), notice.committed)
