"""An in-memory replacement of `relate_wire.driver`, without sockets, TLS, deadlines or telemetry.

It feeds the client's octets to an engine, runs it until it waits for input, and buffers the server's octets. The
engine's session sees it as its `Client`.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from enum import Enum
from typing import Any, Generic, TypeVar

from relate_wire.content_budget import ContentBudget
from relate_wire.ports import Client, ClientGone, CommandLike, Engine, Farewell, Peer, Prompt, Push
from relate_wire.reply import NextStep, Reply

# A stuck session fails its test after this time, which is long because the machine may be busy.
TIMEOUT_SECONDS = 60.0

STRANGER = Peer("192.0.2.7", 49152)  # remote, without TLS
SECURE = replace(STRANGER, secure=True, tls="TLSv1.3")  # remote, with TLS
LOCAL = Peer("127.0.0.1", 49152)  # on this machine, without TLS

FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound=CommandLike)

Connect = Callable[[Client[Any]], Engine[Any, Any]]


class Connection(Generic[FrameT, CommandT]):
    """One client's connection to an engine that `connect` creates. The first `settle` awaits the greeting."""

    def __init__(self, connect: Callable[[Client[FrameT]], Engine[FrameT, CommandT]], peer: Peer = SECURE) -> None:
        self.session_id = secrets.token_hex(8)
        self.peer = peer
        self.content = ContentBudget().hold(peer.address)
        self.replies: list[Reply] = []
        """Every reply, the greeting first."""
        self.pushes: list[Push] = []
        self.errors: list[Exception] = []
        """Exceptions of `handle`; expected only if a test makes the store fail."""
        self.handshakes = 0
        self.closed = False
        """Whether either side has closed the connection."""
        self._output = bytearray()
        self._input: asyncio.Queue[bytes | Farewell | None] = asyncio.Queue()
        self._waiting = asyncio.Event()
        self._has_output = asyncio.Event()
        self.engine = connect(self)
        self._task = asyncio.create_task(self._run())

    # --- the client's side

    async def say(self, octets: bytes) -> bytes:
        """Send octets in one piece; returns the server's output until it waits for input."""
        await self.send(octets)
        return self.take()

    async def send(self, octets: bytes) -> None:
        """Send octets in one piece, then wait until the server waits for input."""
        self._put(octets)
        await self.settle()

    async def disconnect(self) -> None:
        """Close the connection on the client's side."""
        await self._end(None)

    async def interrupt(self, reason: Farewell) -> None:
        """Make the server end the session."""
        await self._end(reason)

    def take(self) -> bytes:
        """Return the server's output that was not read yet."""
        output = bytes(self._output)
        self._output.clear()
        return output

    async def read_line(self) -> bytes:
        """Return the server's next line with its end; an incomplete line only after it has closed."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while b"\n" not in self._output and not self.closed:
                self._has_output.clear()
                await self._has_output.wait()
        line, end, rest = bytes(self._output).partition(b"\n")
        self._output[:] = rest
        return line + end

    async def settle(self) -> None:
        """Wait until the server waits for input, or has closed. Raises the exception of a broken test."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
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
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self._task

    # --- the server's side

    def _write(self, octets: bytes) -> None:
        self._output += octets
        self._has_output.set()

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT:
        """See `Client`."""
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
        """See `Client`."""
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
            self._has_output.set()

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
        except Exception as error:  # noqa: BLE001 - as in the driver, every exception becomes a reply
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
            raise ClientGone from error
        return reply.then

    def _start_tls(self) -> None:
        self.engine.framer.clear()
        self.handshakes += 1
        self.peer = replace(self.peer, secure=True, tls=SECURE.tls)
        self.engine.session.secured(self.peer)
