"""Commands and their replies over a stream: each reply is observed, and must be complete before a deadline.

A reply belongs to the oldest command without one. So a reply that no command awaits is a violation, except for 421: the
server closes the connection, which is the answer to the next command (RFC 5321 §3.8).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from relate_relay.client.commands import Command
from relate_relay.client.errors import Disconnected, DisconnectFault, ProtocolViolation
from relate_relay.client.observer import Observer, Step
from relate_relay.client.replies import ReplyFault, ReplyParser, ServerReply, Violation
from relate_relay.client.stream import Stream
from relate_relay.client.timeouts import Timeouts


class Dialogue:
    """The dialogue with one server. After Disconnected or ProtocolViolation the stream must be aborted."""

    def __init__(self, stream: Stream, timeouts: Timeouts, observer: Observer) -> None:
        self.observer = observer
        self.timeouts = timeouts
        self.stream = stream
        self._parser = ReplyParser()
        self._early_reply: ServerReply | None = None  # 421, which was received before the command

    async def command(self, command: Command) -> ServerReply:
        """Send a command; returns its reply. Raises Disconnected, ProtocolViolation."""
        self.send(command.verb, command.octets)
        return await self.reply_to(command.verb)

    def send(self, verb: str, *octets: bytes) -> None:
        """Send commands, of which the first has this verb, without waiting. Raises ProtocolViolation."""
        reply = self.received_reply(verb)
        if reply is None:
            self.stream.write(octets)
        elif reply.is_closing:
            self._early_reply = reply
        else:
            raise ProtocolViolation(Violation.UNREQUESTED, verb)

    async def reply_to(self, verb: str) -> ServerReply:
        """Wait for the reply to a command, as a step. Raises Disconnected, ProtocolViolation."""
        with self.step(verb) as step:
            reply = await self.read_reply(verb)
            step.replied(reply)
            return reply

    @contextmanager
    def step(self, verb: str) -> Iterator[Step]:
        """Observe a command, and why it fails."""
        with self.observer.command(verb) as step:
            try:
                yield step
            except (Disconnected, ProtocolViolation) as error:
                step.failed(str(error))
                raise

    async def read_reply(self, verb: str) -> ServerReply:
        """Wait for the reply to a command. Raises Disconnected, ProtocolViolation. Aborts the connection after 421."""
        reply, self._early_reply = self._early_reply or self.received_reply(verb), None
        if reply is None:
            deadline = asyncio.get_running_loop().time() + self.timeouts.of(verb)
            while reply is None:
                self._parser.feed(await self._read(verb, deadline))
                reply = self._parse(verb)
        if reply.is_closing:
            self.stream.abort()
        return reply

    def received_reply(self, verb: str) -> ServerReply | None:
        """Return the next reply if it was received. Raises ProtocolViolation."""
        reply = self._parse(verb)
        if reply is None and (data := self.stream.take()):
            self._parser.feed(data)
            reply = self._parse(verb)
        return reply

    def has_input(self) -> bool:
        """Return whether octets were received after the last reply."""
        self._parser.feed(self.stream.take())
        return self._parser.has_input

    async def send_block(self, verb: str, pieces: Sequence[bytes], *, is_last: bool) -> None:
        """Send a part of the content, then wait until the next part, if any, can be sent. Raises Disconnected."""
        self.stream.write(pieces)
        if not self.stream.is_full:
            if not is_last:  # else the reply is awaited
                await asyncio.sleep(0)  # so that the loop receives, and serves other connections, however fast this is
            return
        try:
            async with asyncio.timeout(self.timeouts.block_seconds):
                await self.stream.drain()
        except TimeoutError:
            raise Disconnected(DisconnectFault.STALLED, verb) from None

    async def _read(self, verb: str, deadline: float) -> bytes:
        try:
            data = await self.stream.read(deadline)
        except TimeoutError:
            raise Disconnected(DisconnectFault.TIMEOUT, verb) from None
        if not data:
            raise Disconnected(self.stream.ended or DisconnectFault.CLOSED, verb)
        return data

    def _parse(self, verb: str) -> ServerReply | None:
        try:
            return self._parser.next_reply()
        except ReplyFault as fault:
            raise ProtocolViolation(fault.reason, verb) from None
