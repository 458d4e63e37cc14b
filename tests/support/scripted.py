"""A connection in memory: the twin of `relate_wire.driver`, without sockets, TLS, deadlines or telemetry.

It feeds an engine what the client says, runs it until it waits for more, and keeps what the server said. To the
engine's session it is the `Client`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from enum import Enum
from typing import Any, Generic, TypeVar

from relate_wire.content_budget import ContentBudget
from relate_wire.ports import Client, ClientGone, CommandLike, Engine, Farewell, Peer, Prompt, Push
from relate_wire.reply import NextStep, Reply

# A session that is stuck fails its test after so many seconds; one that works never waits so long.
PATIENCE_SECONDS = 60.0  # seconds; a busy machine may let a test wait

STRANGER = Peer("192.0.2.7", 49152)  # in the clear, from elsewhere
SECURE = replace(STRANGER, secure=True, tls="TLSv1.3")  # the same over TLS
LOCAL = Peer("127.0.0.1", 49152)  # in the clear, but on this machine

FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound=CommandLike)

Connect = Callable[[Client[Any]], Engine[Any, Any]]


class Connection(Generic[FrameT, CommandT]):
    """One client's connection to an engine made by `connect`. Begins with the greeting at the first `settle`."""

    def __init__(self, connect: Callable[[Client[FrameT]], Engine[FrameT, CommandT]], peer: Peer = SECURE) -> None:
        self.peer = peer
        self.content = ContentBudget().hold(peer.address)
        self.replies: list[Reply] = []
        """Every reply, the greeting first."""
        self.pushes: list[Push] = []
        self.errors: list[Exception] = []
        """What `handle` raised: expected only where a test makes the store fail."""
        self.handshakes = 0
        self.closed = False
        """The server has closed, or the client has gone."""
        self._said = bytearray()
        self._input: asyncio.Queue[bytes | Farewell | None] = asyncio.Queue()
        self._waiting = asyncio.Event()
        self._spoke = asyncio.Event()
        self.engine = connect(self)
        self._task = asyncio.create_task(self._run())

    # --- the client's side

    async def say(self, octets: bytes) -> bytes:
        """Send octets in one piece; all that the server says until it waits for more."""
        await self.send(octets)
        return self.take()

    async def send(self, octets: bytes) -> None:
        """Send octets in one piece, and wait until the server waits for more."""
        self._put(octets)
        await self.settle()

    async def vanish(self) -> None:
        """End the connection without a word."""
        await self._end(None)

    async def interrupt(self, reason: Farewell) -> None:
        """Let the server end the session by itself."""
        await self._end(reason)

    def take(self) -> bytes:
        """What the server has said and nobody has read yet."""
        said = bytes(self._said)
        self._said.clear()
        return said

    async def read_line(self) -> bytes:
        """The next line that the server says, with its end; less than a line only when it closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"\n" not in self._said and not self.closed:
                self._spoke.clear()
                await self._spoke.wait()
        line, end, rest = bytes(self._said).partition(b"\n")
        self._said[:] = rest
        return line + end

    async def settle(self) -> None:
        """Until the server waits for the client, or has closed. What a test's bug raised is raised here."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._waiting.wait()
        if self._task.done():
            self._task.result()

    def _put(self, event: bytes | Farewell | None) -> None:
        assert not self.closed, "the connection is closed"
        self._waiting.clear()
        self._input.put_nowait(event)

    async def _end(self, event: Farewell | None) -> None:
        await self.settle()
        self._put(event)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._task

    # --- the server's side

    def _write(self, octets: bytes) -> None:
        self._said += octets
        self._spoke.set()

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT:
        """Say `prompt` and wait for a frame of that mode; meanwhile say what is pushed."""
        self.engine.framer.expect(mode)
        self._write(prompt)
        if pushes is None:
            return await self._next_frame()
        pushing = asyncio.create_task(self._push(pushes))
        try:
            return await self._next_frame()
        finally:
            pushing.cancel()
            await asyncio.wait([pushing])

    def end(self, reason: Farewell) -> None:
        """The session's key is not valid any more, say: at the next wait for a command."""
        self._put(reason)

    async def _push(self, pushes: AsyncGenerator[Push, None]) -> None:
        async with contextlib.aclosing(pushes):
            async for push in pushes:
                self.pushes.append(push)
                self._write(push.octets)

    async def _run(self) -> None:
        try:
            with contextlib.suppress(ClientGone):
                await self._run_session()
        finally:
            await self.engine.session.close()
            self.closed = True
            self._waiting.set()
            self._spoke.set()

    async def _run_session(self) -> None:
        if self.peer.secure:
            self.engine.session.secured(self.peer)
        then = await self._send(await self.engine.session.greet())
        while then is not NextStep.CLOSE:
            then = await self._run_command(self.engine.parse(await self._next_frame()))

    async def _next_frame(self) -> FrameT:
        while True:
            frame = self.engine.framer.next_frame()
            if isinstance(frame, Prompt):
                self._write(frame.octets)
            elif frame is not None:
                return frame
            else:
                self.engine.framer.feed(await self._read())

    async def _read(self) -> bytes:
        if self._input.empty():
            self._waiting.set()
        event = await self._input.get()
        if isinstance(event, bytes):
            return event
        if event is not None:
            self._write(self.engine.session.farewell(event))
        raise ClientGone

    async def _run_command(self, command: CommandT) -> NextStep:
        session = self.engine.session
        try:
            reply = await session.handle(command)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - as the driver does: any trouble becomes a reply
            self.errors.append(error)
            reply = session.error_reply(command, error)
        then = await self._send(reply)
        if not session.in_transaction:
            self.content.release()
        if then is NextStep.STARTTLS:
            self._start_tls()
        return then

    async def _send(self, reply: Reply) -> NextStep:
        self.replies.append(reply)
        self._write(reply.head)
        try:
            if reply.body is not None:
                async for chunk in reply.body:
                    if isinstance(chunk, Reply):
                        return await self._send(chunk)
                    self._write(chunk)
        except Exception as error:
            self.errors.append(error)
            raise ClientGone("the reply failed half-way") from error
        return reply.then

    def _start_tls(self) -> None:
        self.engine.framer.clear()
        self.handshakes += 1
        self.peer = replace(self.peer, secure=True, tls=SECURE.tls)
        self.engine.session.secured(self.peer)
