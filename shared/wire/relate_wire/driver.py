"""The driver: the command loop of a connection, and the only place where commands are traced and counted.

frame → parse → handle → send, all within the command's span, so that a slow client or a long message shows in its
duration. Replies to pipelined commands are sent in batches (RFC 2920 §3.1). A session's exception never reaches the
client: it is logged, recorded on the span, and the session's `error_reply` is sent.
"""

import asyncio
import secrets
import socket
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

import structlog

from relate_supervisor import Supervisor
from relate_telemetry.ports import (
    CommandResult,
    CommandTelemetry,
    Endpoint,
    EndReason,
    Handshake,
    NoTelemetry,
    ProtocolTelemetry,
    Pushed,
)
from relate_wire.connection import NO_DEADLINE, Connection, EndRequested, HandshakeFailed
from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.faults import Disconnect, Fault, FaultInjection
from relate_wire.limits import Limits
from relate_wire.ports import Client, ClientGone, CommandLike, Engine, Farewell, Peer, Prompt, Push
from relate_wire.refusals import RefusalLimits, Refusals
from relate_wire.reply import NextStep, Outcome, Reply
from relate_wire.tls import Certificate, handshake_failure, iana_cipher

log = structlog.get_logger(__name__)

# How long a connection may run without awaiting I/O (pipelined commands, a long body from memory) before it yields to
# the event loop.
TIME_SLICE_SECONDS = 0.002

# Inflated octets that may be discarded per octet on the wire (RFC 4978), beyond the first MAX_FREE_DRAIN_OCTETS: text
# deflates to a tenth of its size, zeros to a thousandth.
MAX_DRAIN_RATIO = 100
MAX_FREE_DRAIN_OCTETS = 1024 * 1024

# The results that telemetry gets if the connection ends before the reply is sent: by the client, or by an error.
ABANDONED_REPLY = Reply(b"", Outcome.ABANDONED)
TRUNCATED_REPLY = Reply(b"", Outcome.FAILED)


# Why a session ends after a reply with that outcome and NextStep.CLOSE.
CLOSE_REASONS = {
    Outcome.OK: EndReason.CLOSED,
    Outcome.REFUSED: EndReason.REFUSED,
    Outcome.FAILED: EndReason.FAILED,
}


class ReplyTruncated(ClientGone):
    """The body failed after part of the reply was sent. Closing the connection is the only way to signal that."""


FrameT = TypeVar("FrameT")
CommandT = TypeVar("CommandT", bound=CommandLike)

EngineFactory = Callable[[Client[Any]], Engine[Any, Any]]


@dataclass(frozen=True, slots=True)
class Listener:
    """One port and its protocol engine. Port 0 lets the system choose.

    `prefix` and `setting` name the variables of host and port in error messages: `Smtp`, `MxPort`.
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

    `busy` is sent to a client beyond the connection limit; `shares_ports` lets several processes listen on one port.
    `content` is the memory budget for content, shared by all services of a process. `faults` are injected in tests.
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
    faults: FaultInjection | None = None


class Endpoints(NamedTuple):
    """The ends of an accepted connection: `server` is address and port, `peer` the client, or the proxy before it."""

    client: Peer
    server: tuple[str, int]
    peer: Peer


class Driver(Generic[FrameT, CommandT]):
    """Runs one engine on one connection; the engine's session sees it as its Client.

    The engine has only a weak reference to its driver, so that reference counting frees a connection with its task.
    """

    def __init__(
        self, service: Service, listener: Listener, endpoints: Endpoints, buffer: memoryview, supervisor: Supervisor
    ) -> None:
        client, server, peer = endpoints
        self.connection = Connection(service.limits.session_timeout, buffer)
        self._service = service
        self._supervisor = supervisor
        self._implicit_tls = listener.implicit_tls
        self._peer = client
        self._content = service.content.hold(client.address)
        self._session_id = secrets.token_hex(8)
        self._engine: Engine[FrameT, CommandT] = listener.engine(weakref.proxy(self))
        self._telemetry = service.telemetry.session(
            self._session_id, _endpoint(client), Endpoint(*server), _endpoint(peer)
        )
        self._end_reason = EndReason.CLOSED
        self._span: CommandTelemetry = NoTelemetry()  # of the current command
        self._client_wait_seconds = 0.0  # within the current command
        self._consumed = 0  # octets, up to the current command
        self._refusals = Refusals(service.refusals)
        self._faults = None if service.faults is None else service.faults.session()
        self._slice_ends = 0.0

    @property
    def session_id(self) -> str:
        """See `Client`."""
        return self._session_id

    @property
    def peer(self) -> Peer:
        """See `Client`."""
        return self._peer

    @property
    def content(self) -> HeldContent:
        """See `Client`."""
        return self._content

    async def ask(self, prompt: bytes, mode: Enum, pushes: AsyncGenerator[Push, None] | None = None) -> FrameT:
        """See `Client`."""
        self._engine.framer.expect(mode)
        self.connection.write(prompt)
        self.connection.defer_end = pushes is None  # a graceful stop lets the current command finish, but not IDLE
        began = time.perf_counter()
        try:
            if pushes is None:
                return await self._next_frame()
            async with self._pushing(pushes):
                return await self._next_frame()
        except EndRequested as end:
            self._send_farewell(end.reason)
            raise ClientGone(end.reason) from None
        finally:
            self.connection.defer_end = False
            self._client_wait_seconds += time.perf_counter() - began

    def end(self, reason: Farewell) -> None:
        """See `Client`."""
        self.connection.request_end(reason)

    async def run(self) -> None:
        """Run the session to its end, then close the connection and release its resources."""
        reason = EndReason.FAILED
        try:
            await self._run_session()
            reason = self._end_reason
        except ClientGone as gone:
            reason = _reason_of(gone)
        except EndRequested as end:
            self._send_farewell(end.reason)
            reason = EndReason(end.reason.value)
        except asyncio.CancelledError:
            reason = EndReason.SHUTDOWN  # of a command that lasted longer than the grace period
            raise
        finally:
            self.connection.close()
            self._discard_input()
            self._telemetry.end(reason)
            await self._engine.session.close()

    async def connect(self, sock: socket.socket) -> bool:
        """Take over an accepted socket, after the handshake of implicit TLS; returns whether that succeeded."""
        reason: EndReason | None = EndReason.FAILED
        try:
            await self._attach(sock)
            reason = None
        except HandshakeFailed as failed:
            reason = EndReason.TLS_FAILED
            error = type(failed.error).__name__
            log.info(
                "handshake failed", protocol=self._service.name, error=error, reason=handshake_failure(failed.error)
            )
        except asyncio.CancelledError:
            reason = EndReason.SHUTDOWN  # which does not wait for handshakes
            raise
        finally:
            if reason is not None:
                sock.close()
                self.connection.abort()
                self._discard_input()
                self._telemetry.end(reason)
        return reason is None

    async def _attach(self, sock: socket.socket) -> None:
        certificate = self._service.certificate
        if self._implicit_tls and certificate is not None:
            timeout = self._service.limits.handshake_timeout
            await self._perform_handshake(self.connection.attach_tls(sock, certificate.context, timeout))
        else:
            await self.connection.attach(sock)

    def _discard_input(self) -> None:
        self._engine.framer.clear()
        self._content.release()

    async def _run_session(self) -> None:
        if self._implicit_tls:
            self._secured()
        greeting = await self._engine.session.greet()
        self.connection.write(greeting.head)
        self._telemetry.greeted()
        then = greeting.then
        while then is not NextStep.CLOSE:
            self.connection.raise_if_revoked()
            # Not in variables: these would keep the last message in memory while the client is idle.
            then = await self._run_command(self._engine.parse(await self._next_frame()))
            if then is NextStep.STARTTLS:
                await self._start_tls()
            elif then is NextStep.COMPRESS:
                self._start_compression()
        with suppress(ClientGone):  # a client need not wait for the last reply
            await self.connection.flush()

    async def _yield_if_due(self) -> None:
        """Yield to the event loop if the time slice of this connection has ended."""
        if time.perf_counter() > self._slice_ends:
            await asyncio.sleep(0)
            self._slice_ends = time.perf_counter() + TIME_SLICE_SECONDS

    async def _next_frame(self) -> FrameT:
        """Return the next frame; flushes queued replies before it waits for the client."""
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
        """Run one command in its span, from its last octet until its reply is passed to the socket."""
        session, connection = self._engine.session, self.connection
        self._client_wait_seconds, written = 0.0, connection.written
        with self._telemetry.command(command.verb, session.state) as span:
            self._span = span
            try:
                reply = await self._send(await self._answer(command, span), span)
            except ClientGone as error:
                reply = TRUNCATED_REPLY if isinstance(error, ReplyTruncated) else ABANDONED_REPLY
                span.finish(self._result(reply, connection.written - written))
                raise
            span.finish(self._result(reply, connection.written - written))
        self._telemetry.settle(session.in_transaction)
        if not session.in_transaction:
            self._content.release()
        if reply.then is NextStep.CLOSE:
            self._end_reason = CLOSE_REASONS[reply.outcome]
        return await self._count_refusal(command.verb, reply)

    async def _answer(self, command: CommandT, span: CommandTelemetry) -> Reply:
        try:
            if self._faults is not None and (fault := self._faults.choose(command)) is not None:
                return await self._inject(fault, command, span)
            return await self._engine.session.handle(command)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the only place where an exception becomes a reply
            self._report(command.verb, error, span)
            return self._engine.session.error_reply(command, error)

    async def _inject(self, fault: Fault, command: CommandT, span: CommandTelemetry) -> Reply:
        """Inject a fault; returns the reply. Raises ClientGone if the fault ends the connection."""
        span.injected(fault.kind)
        if fault.delay_seconds:
            await self.connection.flush()  # the replies to earlier commands are not delayed
            await asyncio.sleep(fault.delay_seconds)
        if fault.reply is not None:
            return fault.reply
        reply = ABANDONED_REPLY
        if fault.disconnect is not Disconnect.BEFORE:
            reply = await self._engine.session.handle(command)
        if fault.disconnect is not None:
            self.connection.abort()
            raise ClientGone
        return reply

    async def _send(self, reply: Reply, span: CommandTelemetry) -> Reply:
        """Queue the head and stream the body; returns the final reply. Raises ClientGone, ReplyTruncated."""
        connection = self.connection
        connection.write(reply.head)
        if connection.is_full:  # six octets may request a megabyte, and pipelined commands gigabytes
            await connection.flush()
        if reply.body is None:
            return reply
        try:
            async for chunk in reply.body:
                if isinstance(chunk, Reply):
                    return self._finish_body(chunk, span)
                connection.write(chunk)
                if connection.is_full:
                    await connection.flush()
                await self._yield_if_due()
        except ClientGone:
            raise
        except Exception as error:
            self._report(reply.code, error, span)
            raise ReplyTruncated from error
        return reply

    def _finish_body(self, reply: Reply, span: CommandTelemetry) -> Reply:
        if reply.error is not None:
            self._report(reply.code, reply.error, span)
        self.connection.write(reply.head)
        return reply

    @asynccontextmanager
    async def _pushing(self, pushes: AsyncGenerator[Push, None]) -> AsyncIterator[None]:
        """Send the items of `pushes` as they are yielded, until the block ends."""
        task = asyncio.create_task(self._push(pushes), name="pushes")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _push(self, pushes: AsyncGenerator[Push, None]) -> None:
        span, connection = self._span, self.connection
        try:
            async with aclosing(pushes):
                async for push in pushes:
                    connection.write(push.octets)
                    await connection.flush()
                    connection.restart_deadline()
                    span.pushed(Pushed(len(push.octets), push.origins, push.committed))
        except ClientGone:
            return  # the task that waits for a frame raises it too
        except Exception as error:  # noqa: BLE001 - the client can still end the wait, and gets all updates then
            span.fault(error)
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
        """Return the next step after a reply; delays it at the soft error limit, ends the session at the hard one."""
        refusals = self._refusals
        if not refusals.count(verb, reply):
            return reply.then
        if refusals.too_many:
            self._send_farewell(Farewell.TOO_MANY_ERRORS)
            self._end_reason = EndReason.TOO_MANY_ERRORS
            return NextStep.CLOSE
        if delay := refusals.delay_seconds:
            await self.connection.flush()
            await asyncio.sleep(delay)
        return reply.then

    def _send_farewell(self, reason: Farewell) -> None:
        self.connection.write(self._engine.session.farewell(reason))

    async def _start_tls(self) -> None:
        """RFC 3207 §4.2: discard pipelined plaintext, because an attacker may have injected it."""
        certificate = self._service.certificate
        if certificate is None:
            raise RuntimeError("a session offered STARTTLS without a certificate")
        self._engine.framer.clear()
        self.connection.discard_input()
        self.connection.send_queued()
        timeout = self._service.limits.handshake_timeout
        await self._perform_handshake(self.connection.start_tls(certificate.context, timeout))
        self._secured()

    async def _perform_handshake(self, handshake: Awaitable[None]) -> None:
        """Perform and record a TLS handshake. Raises HandshakeFailed."""
        began = time.perf_counter()
        try:
            await handshake
        except HandshakeFailed as failed:
            error, seconds = failed.error, time.perf_counter() - began
            self._telemetry.handshake(Handshake(seconds, error=error, reason=handshake_failure(error)))
            raise
        version, cipher = self.connection.tls_parameters
        self._telemetry.handshake(Handshake(time.perf_counter() - began, version, iana_cipher(cipher)))

    def _start_compression(self) -> None:
        """RFC 4978 §3: the client sends nothing between its command and our OK, and only deflated data after it."""
        self._engine.framer.clear()
        self.connection.send_queued()
        self.connection.start_compression()

    def _secured(self) -> None:
        self._peer = self.connection.secure_peer(self._peer)
        self._engine.session.secured(self._peer)

    def _report(self, command: str, error: Exception, span: CommandTelemetry) -> None:
        span.fault(error)
        log.error(
            "command failed",
            protocol=self._service.name,
            command=command,
            session=self._session_id,
            exc_info=error,
        )


def _endpoint(peer: Peer) -> Endpoint:
    return Endpoint(peer.address, peer.port)


def _reason_of(gone: ClientGone) -> EndReason:
    if isinstance(gone, ReplyTruncated):
        return EndReason.FAILED
    if isinstance(gone, HandshakeFailed):
        return EndReason.TLS_FAILED
    return EndReason.ABANDONED if gone.reason is None else EndReason(gone.reason.value)
