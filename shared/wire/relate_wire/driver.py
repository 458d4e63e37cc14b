"""The driver: the only loop of a connection, and the only place where a command is traced and counted.

frame → parse → handle → send, all of it inside one telemetry seam, so that a slow client or a long message is seen as
slow. Replies are gathered while more commands wait in the buffer (RFC 2920 §3.1) and sent together. An exception from
a session never reaches the client: it is logged, put on the span, and answered by the session's `error_reply`.
"""

import asyncio
import secrets
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

import structlog

from relate_supervisor import Supervisor
from relate_telemetry.ports import CommandResult, CommandTelemetry, NoTelemetry, ProtocolTelemetry, Pushed
from relate_wire.connection import NO_DEADLINE, Connection, EndRequested
from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.limits import Limits
from relate_wire.ports import Client, ClientGone, CommandLike, Engine, Farewell, Peer, Prompt, Push
from relate_wire.refusals import RefusalLimits, Refusals
from relate_wire.reply import NextStep, Outcome, Reply
from relate_wire.tls import Certificate

log = structlog.get_logger(__name__)

# Seconds that a connection may take without a wait, by many short commands or a long body from memory, before the
# others get a turn.
TIME_SLICE_SECONDS = 0.002

# Octets that may be drained for each octet on the wire (RFC 4978), beyond the first MAX_FREE_DRAIN_OCTETS: text
# deflates to a tenth, nothing but zeros to a thousandth.
MAX_DRAIN_RATIO = 100
MAX_FREE_DRAIN_OCTETS = 1024 * 1024

# What telemetry is told of a command whose client left before the reply was out, and of one whose reply broke off.
ABANDONED_REPLY = Reply(b"", Outcome.ABANDONED)
TRUNCATED_REPLY = Reply(b"", Outcome.FAILED)


class ReplyTruncated(ClientGone):
    """Half of a reply is out, and the rest can't be made: only a closed connection says that it is not whole."""


FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound=CommandLike)

EngineFactory = Callable[[Client[Any]], Engine[Any, Any]]


@dataclass(frozen=True, slots=True)
class Listener:
    """One port and what is spoken there. Port 0 lets the system choose.

    `prefix` and `setting` name the variables of host and port, for errors: `Smtp`, `MxPort`.
    """

    host: str
    port: int
    engine: EngineFactory
    implicit_tls: bool = False
    prefix: str = ""
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One protocol on its ports.

    `busy` is what a client is told when there are too many; `shares_ports` lets worker processes listen side by side.
    `content` is the memory for content, which all services of a process share.
    """

    name: str
    listeners: tuple[Listener, ...]
    telemetry: ProtocolTelemetry
    limits: Limits
    certificate: Certificate | None = None
    busy: bytes = b""
    shares_ports: bool = False
    refusals: RefusalLimits = field(default_factory=RefusalLimits)
    content: ContentBudget = field(default_factory=ContentBudget)


class Driver(Generic[FrameT, CommandT]):
    """Runs one engine on one connection; to the engine's session it is the Client.

    The engine refers to its driver weakly: all that a connection holds is freed with its task, without the collector.
    """

    def __init__(
        self, service: Service, listener: Listener, peer: Peer, buffer: memoryview, supervisor: Supervisor
    ) -> None:
        self.connection = Connection(service.limits.session_timeout, buffer)
        self._service = service
        self._supervisor = supervisor
        self._implicit_tls = listener.implicit_tls
        self._peer = peer
        self._content = service.content.hold(peer.address)
        self._session_id = secrets.token_hex(8)
        self._engine: Engine[FrameT, CommandT] = listener.engine(weakref.proxy(self))
        self._telemetry = service.telemetry.session(self._session_id, peer.address, listener.port)
        self._span: CommandTelemetry = NoTelemetry()  # the command at hand
        self._client_wait_seconds = 0.0  # for the client, within the command at hand
        self._consumed = 0  # octets, up to the command at hand
        self._refusals = Refusals(service.refusals)
        self._slice_ends = 0.0

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._peer

    @property
    def content(self) -> HeldContent:
        """Where the framer keeps content."""
        return self._content

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT:
        """Send a prompt in the middle of a command and wait for a frame of that mode. Raises ClientGone."""
        self._engine.framer.expect(mode)
        self.connection.write(prompt)
        self.connection.defer_end = pushes is None  # a command under way may be finished during a graceful stop
        began = time.perf_counter()
        try:
            if pushes is None:
                return await self._next_frame()
            async with self._pushing(pushes):
                return await self._next_frame()
        except EndRequested as interrupted:
            self._send_farewell(interrupted.reason)
            raise ClientGone(interrupted.reason.value) from None
        finally:
            self.connection.defer_end = False
            self._client_wait_seconds += time.perf_counter() - began

    def end(self, reason: Farewell) -> None:
        """End the session: at once where it waits for a command, else after the command under way."""
        self.connection.request_end(reason)

    async def run(self) -> None:
        """Greet, converse, and leave everything tidy whatever happens."""
        reason = "aborted"
        try:
            reason = await self._run_session()
        except ClientGone:
            reason = "lost"
        except EndRequested as interrupted:
            self._send_farewell(interrupted.reason)
            reason = interrupted.reason.value
        finally:
            self.connection.close()
            self._discard_input()
            self._telemetry.end(reason)
            await self._engine.session.close()

    def abort(self, reason: str) -> None:
        """The session never began: the PROXY preamble or the TLS handshake failed."""
        self.connection.abort()
        self._discard_input()
        self._telemetry.end(reason)

    def _discard_input(self) -> None:
        self._engine.framer.clear()
        self._content.release()

    async def _run_session(self) -> str:
        if self._implicit_tls:
            self._secured()
        greeting = await self._engine.session.greet()
        self.connection.write(greeting.head)
        then = greeting.then
        while then is not NextStep.CLOSE:
            self.connection.raise_if_revoked()
            # No variable holds the frame or the command: while the client is idle, its last message would live on.
            then = await self._run_command(self._engine.parse(await self._next_frame()))
            if then is NextStep.STARTTLS:
                await self._start_tls()
            elif then is NextStep.COMPRESS:
                self._start_compression()
        await self.connection.flush()
        return "closed"

    async def _yield_if_due(self) -> None:
        """Let others run, if this connection has run for long."""
        if time.perf_counter() > self._slice_ends:
            await asyncio.sleep(0)
            self._slice_ends = time.perf_counter() + TIME_SLICE_SECONDS

    async def _next_frame(self) -> FrameT:
        """The next frame; what is queued is sent before waiting for the client."""
        framer, connection = self._engine.framer, self.connection
        frame = framer.next_frame()
        if frame is not None and not isinstance(frame, Prompt):
            await self._yield_if_due()
            return frame
        await connection.flush()
        connection.restart_deadline()
        drained, received = 0, connection.received
        while frame is None or isinstance(frame, Prompt):
            if frame is None:
                octets = await connection.read()
                drained += len(octets) if framer.draining else 0
                if drained > MAX_FREE_DRAIN_OCTETS + MAX_DRAIN_RATIO * (connection.received - received):
                    raise EndRequested(Farewell.TOO_MANY_ERRORS)
                framer.feed(octets)
            else:
                connection.write(frame.octets)
                await connection.flush()
                connection.restart_deadline()
            frame = framer.next_frame()
        connection.deadline = NO_DEADLINE
        self._slice_ends = time.perf_counter() + TIME_SLICE_SECONDS
        return frame

    async def _run_command(self, command: CommandT) -> NextStep:
        """One command, seen: from its last octet to its reply handed to the socket."""
        session, connection = self._engine.session, self.connection
        self._client_wait_seconds, written = 0.0, connection.written
        with self._telemetry.command(command.verb, session.state) as seen:
            self._span = seen
            try:
                reply = await self._send(await self._answer(command, seen), seen)
            except ClientGone as error:
                reply = TRUNCATED_REPLY if isinstance(error, ReplyTruncated) else ABANDONED_REPLY
                seen.finish(self._result(reply, connection.written - written))
                raise
            seen.finish(self._result(reply, connection.written - written))
        self._telemetry.settle(session.in_transaction)
        if not session.in_transaction:
            self._content.release()
        return await self._count_refusal(command.verb, reply)

    async def _answer(self, command: CommandT, seen: CommandTelemetry) -> Reply:
        try:
            return await self._engine.session.handle(command)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where any trouble becomes a reply
            self._report(command.verb, error, seen)
            return self._engine.session.error_reply(command, error)

    async def _send(self, reply: Reply, seen: CommandTelemetry) -> Reply:
        """Queue the head, stream the body; the reply that says how it went. Raises ClientGone, also when it fails."""
        connection = self.connection
        connection.write(reply.head)
        if connection.is_full:  # six octets may ask for a megabyte, and those behind them for gigabytes
            await connection.flush()
        if reply.body is None:
            return reply
        try:
            async for chunk in reply.body:
                if isinstance(chunk, Reply):
                    return self._finish_body(chunk, seen)
                connection.write(chunk)
                if connection.is_full:
                    await connection.flush()
                await self._yield_if_due()
        except ClientGone:
            raise
        except Exception as error:
            self._report(reply.code, error, seen)
            raise ReplyTruncated from error
        return reply

    def _finish_body(self, reply: Reply, seen: CommandTelemetry) -> Reply:
        if reply.error is not None:
            self._report(reply.code, reply.error, seen)
        self.connection.write(reply.head)
        return reply

    @asynccontextmanager
    async def _pushing(self, pushes: AsyncGenerator[Push, None]) -> AsyncIterator[None]:
        """While inside, the client is sent what comes."""
        task = asyncio.create_task(self._push(pushes), name="pushes")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _push(self, pushes: AsyncGenerator[Push, None]) -> None:
        seen, connection = self._span, self.connection
        try:
            async with aclosing(pushes):
                async for push in pushes:
                    connection.write(push.octets)
                    await connection.flush()
                    connection.restart_deadline()
                    seen.pushed(Pushed(len(push.octets), push.origins, push.committed))
        except ClientGone:
            return  # whoever waits for its frame finds out, too
        except Exception as error:  # noqa: BLE001 - the client can still end the wait, and is told everything then
            seen.fault(error)
            self._supervisor.report("wire.pushes", error, protocol=self._service.name, session=self._session_id)

    def _result(self, reply: Reply, sent: int) -> CommandResult:
        before, self._consumed = self._consumed, self._engine.framer.consumed
        facts = reply.facts
        return CommandResult(
            reply.outcome.value,
            reply.code,
            self._consumed - before,
            sent,
            facts.messages_received,
            facts.messages_retrieved,
            facts.processing,
            self._client_wait_seconds,
            facts.linked,
        )

    async def _count_refusal(self, verb: str, reply: Reply) -> NextStep:
        """What follows a reply; after too many refusals a delay, or the end."""
        refusals = self._refusals
        if not refusals.count(verb, reply):
            return reply.then
        if refusals.too_many:
            self._send_farewell(Farewell.TOO_MANY_ERRORS)
            return NextStep.CLOSE
        if delay := refusals.delay_seconds:
            await self.connection.flush()
            await asyncio.sleep(delay)
        return reply.then

    def _send_farewell(self, reason: Farewell) -> None:
        self.connection.write(self._engine.session.farewell(reason))

    async def _start_tls(self) -> None:
        """RFC 3207 §4.2: what was sent ahead in the clear is nobody's word, and is forgotten."""
        certificate = self._service.certificate
        if certificate is None:
            raise RuntimeError("a session offered STARTTLS without a certificate")
        self._engine.framer.clear()
        self.connection.discard_input()
        self.connection.send_queued()
        await self.connection.start_tls(certificate.context, self._service.limits.handshake_timeout)
        self._secured()

    def _start_compression(self) -> None:
        """RFC 4978 §3: the client sends nothing between its command and our OK, and everything deflated after it."""
        self._engine.framer.clear()
        self.connection.send_queued()
        self.connection.start_compression()

    def _secured(self) -> None:
        self._peer = self.connection.secure_peer(self._peer)
        self._engine.session.secured(self._peer)

    def _report(self, what: str, error: Exception, seen: CommandTelemetry) -> None:
        seen.fault(error)
        log.error(
            "command failed",
            protocol=self._service.name,
            command=what,
            session=self._session_id,
            exc_info=error,
        )
