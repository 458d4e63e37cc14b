"""IDLE (RFC 2177): the client waits, and is told of changes as they come, whoever makes them."""

from collections.abc import AsyncGenerator

from relate_imap.answers import Answer, bad, ok
from relate_imap.commands import Bare
from relate_imap.conversation import Conversation
from relate_imap.framing import Mode
from relate_imap.news import news
from relate_wire.dialogue import Push


async def on_idle(conversation: Conversation, command: Bare) -> Answer:
    """Until DONE, or until the session times out."""
    frame = await conversation.client.ask(b"+ idling\r\n", Mode.IDLE, _pushes(conversation, command.verb))
    if frame.fault is not None or frame.text.strip().upper() != b"DONE":
        return bad("DONE was expected")
    return ok("That was it")


async def _pushes(conversation: Conversation, verb: str) -> AsyncGenerator[Push, None]:
    """What the client is to be told. The first look comes after the subscription: between them nothing is missed."""
    view = conversation.view
    if view is None:
        return
    async with conversation.context.store.changes(conversation.account) as changes:
        if octets := await news(conversation, verb):
            yield Push(octets)
        async for change in changes:
            if change.mailbox_id == view.snapshot.mailbox.id and (octets := await news(conversation, verb)):
                yield Push(octets, (change.origin,) if change.origin else (), change.committed)
