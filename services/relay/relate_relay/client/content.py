"""Sends the content of a message, after DATA or in chunks, and returns the reply that ends the transaction."""

from collections.abc import AsyncIterable
from contextlib import aclosing, suppress

from relate_relay.client import commands
from relate_relay.client.blocks import blocks
from relate_relay.client.commands import END_OF_CONTENT
from relate_relay.client.dialogue import Dialogue
from relate_relay.client.errors import Disconnected, ProtocolViolation
from relate_relay.client.replies import ServerReply, Violation
from relate_relay.client.transaction import Transaction
from relate_wire.dots import DotEncoder

# Chunks that may be sent before the reply to the first of them was received (RFC 3030 §4.2). Their replies are small,
# so that the server can always send them.
MAX_PIPELINED_CHUNKS = 16


async def send_data(dialogue: Dialogue, transaction: Transaction, content: AsyncIterable[bytes]) -> ServerReply:
    """Send the content with stuffed dots (RFC 5321 §4.5.2). Raises Disconnected, ProtocolViolation.

    A refusal that arrives before the end stops the content; the connection is then aborted.
    """
    encoder = DotEncoder()
    async with aclosing(blocks(content)) as parts:
        async for block in parts:
            if (refusal := _early_refusal(dialogue)) is not None:
                return refusal
            pieces = [encoder.encode(chunk) for chunk in block.chunks]
            if block.is_last:
                transaction.content_sent()
                pieces.append(encoder.finish())
            await dialogue.send_block(END_OF_CONTENT, pieces, is_last=block.is_last)
    return await dialogue.read_reply(END_OF_CONTENT)


async def send_chunks(
    dialogue: Dialogue, transaction: Transaction, content: AsyncIterable[bytes], *, pipelining: bool
) -> ServerReply:
    """Send the content in chunks (RFC 3030 §2); returns the first reply that refuses one, else that to the last.

    Raises Disconnected, ProtocolViolation.
    """
    window = MAX_PIPELINED_CHUNKS if pipelining else 1
    unanswered = 0
    async with aclosing(blocks(content)) as parts:
        async for block in parts:
            while unanswered == window or dialogue.stream.ended is not None:
                reply = await dialogue.read_reply("BDAT")
                unanswered -= 1
                if not reply.is_positive:
                    return await _skip_replies(dialogue, reply, unanswered)
            if block.is_last:
                transaction.content_sent()
            line = commands.bdat(block.octets, is_last=block.is_last)
            await dialogue.send_block("BDAT", [line, *block.chunks], is_last=block.is_last)
            unanswered += 1
    while unanswered:
        reply = await dialogue.read_reply("BDAT")
        unanswered -= 1
        if not reply.is_positive:
            return await _skip_replies(dialogue, reply, unanswered)
    return reply


async def _skip_replies(dialogue: Dialogue, refusal: ServerReply, unanswered: int) -> ServerReply:
    """Read the replies to chunks that were sent after the refused one; returns the refusal."""
    with suppress(Disconnected):
        for _ in range(unanswered):
            await dialogue.read_reply("BDAT")
    return refusal


def _early_refusal(dialogue: Dialogue) -> ServerReply | None:
    reply = dialogue.received_reply(END_OF_CONTENT)
    if reply is None:
        if dialogue.stream.ended is not None:
            raise Disconnected(dialogue.stream.ended, END_OF_CONTENT)
        return None
    if reply.is_positive or reply.is_intermediate:
        raise ProtocolViolation(Violation.UNREQUESTED, END_OF_CONTENT)
    dialogue.stream.abort()  # a final dot is the only other end, and it might make the server accept a part
    return reply
