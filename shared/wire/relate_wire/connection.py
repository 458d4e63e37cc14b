"""Buffered reads and writes of one socket, with backpressure in both directions and one deadline.

The transport calls it, the driver awaits it; it knows no protocol. It pauses reading while the session is behind, and
writing waits while the client does not read, so that memory per connection is bounded. The server's periodic sweep
enforces the deadlines of all connections, because a timer per command would cost more than most commands.
"""

import asyncio
import socket
import ssl
import time
import zlib
from typing import TYPE_CHECKING, cast

from relate_wire.ports import ClientGone, Farewell, Peer
from relate_wire.tls import tls_parameters

if TYPE_CHECKING:
    _Inflate = zlib._Decompress
    _Deflate = zlib._Compress

# The size of one read, and of the unparsed input at which reading is paused. Hundreds of connections may buffer this
# much at the same time, in addition to the content that the content budget counts.
READ_HIGH_WATER_OCTETS = 64 * 1024
# Replies are buffered up to this size, then written: about a socket buffer.
WRITE_HIGH_WATER_OCTETS = 64 * 1024
# Fewer octets than this per timeout do not extend the deadline of a half-received command (slow loris).
MIN_PROGRESS_OCTETS = 4096
NO_DEADLINE = float("inf")
# A command may run this long after its key is revoked. Together with the interval of the revocation check (10 s), a
# session ends within 30 s.
REVOKED_GRACE_SECONDS = 10.0


class HandshakeFailed(ClientGone):
    """The TLS handshake failed by an `error`."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        error.__traceback__ = None  # asyncio keeps the error, whose traceback would keep the driver in memory
        self.error = error


class EndRequested(Exception):
    """The server ends the session while it waits for a command."""

    def __init__(self, reason: Farewell) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Connection(asyncio.BufferedProtocol):
    """An accepted connection. `timeout` in seconds applies to each wait for the client.

    The event loop reads into `buffer`, READ_HIGH_WATER_OCTETS long, which all connections of one loop may share.
    """

    __slots__ = (
        "__weakref__",
        "_abort_reason",
        "_buffer",
        "_deflate",
        "_drain_waiter",
        "_end_reason",
        "_eof",
        "_force_end_at",
        "_incoming",
        "_incoming_size",
        "_inflate",
        "_lost",
        "_outgoing",
        "_outgoing_size",
        "_paused_reading",
        "_progress",
        "_timeout",
        "_transport",
        "_waiter",
        "deadline",
        "defer_end",
        "received",
        "written",
    )

    def __init__(self, timeout: float, buffer: memoryview) -> None:
        self._timeout = timeout
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._incoming: list[bytes] = []
        self._incoming_size = 0
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._inflate: _Inflate | None = None
        self._deflate: _Deflate | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._paused_reading = False
        self._eof = False
        self._lost = False
        self._end_reason: Farewell | None = None
        self._abort_reason: Farewell | None = None
        self._force_end_at = NO_DEADLINE  # when the current command is aborted
        self._progress = 0
        self.deadline = NO_DEADLINE
        self.defer_end = False  # while True, only the idle timeout ends a wait
        self.received = 0  # octets since the start, before they are inflated
        self.written = 0  # octets since the start

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_OCTETS)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`. The octets are copied out before the next read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._incoming.append(bytes(self._buffer[:nbytes]))
        self._incoming_size += nbytes
        self.received += nbytes
        if self._incoming_size >= READ_HIGH_WATER_OCTETS and not self._paused_reading:
            self._paused_reading = True
            self._open().pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Record the end of input; plain TCP stays open, because a half-closed client (`nc`) still reads replies."""
        self._eof = True
        self._wake()
        return self.tls_object is None

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._lost = self._eof = True
        self._transport = None
        self._wake()
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`: the write buffer is full."""
        self._drain_waiter = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`: the write buffer has drained."""
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)
        self._drain_waiter = None

    # --- called by the server

    def request_end(self, reason: Farewell) -> None:
        """End the session at the next wait for a command: at once if it waits for one now."""
        self._end_reason = reason
        if reason is Farewell.REVOKED:
            self._force_end_at = min(self._force_end_at, time.monotonic() + REVOKED_GRACE_SECONDS)
        self._wake()

    def expire(self, now: float) -> None:
        """Enforce the deadlines of the current wait, and of a command whose key was revoked. The sweep calls this."""
        if self._force_end_at <= now:
            self._force_end()
        if self.deadline > now:
            return
        self.deadline = NO_DEADLINE
        if self._drain_waiter is not None:
            self.abort(Farewell.IDLE)  # the client does not read, so a farewell would not reach it
        else:
            self.request_end(Farewell.IDLE)

    def _force_end(self) -> None:
        if self._waiter is None:
            self.abort(self._end_reason)  # a farewell cannot be sent in the middle of a reply
        else:
            self.defer_end = False
            self._wake()

    # --- called by the driver

    @property
    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS connection, None without TLS."""
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    @property
    def tls_parameters(self) -> tuple[str, str]:
        """The version of TLS, such as `1.3`, and OpenSSL's name of the cipher; empty without TLS."""
        return tls_parameters(self.tls_object)

    def restart_deadline(self) -> None:
        """Give the client `timeout` seconds from now to complete its input, or to read."""
        self._progress = 0
        self.deadline = time.monotonic() + self._timeout

    async def read(self) -> bytes:
        """Return received octets. Raises ClientGone at the end of input, EndRequested.

        With compression returns at most READ_HIGH_WATER_OCTETS, perhaps none, and yields to the loop between reads.
        """
        if not self._incoming:
            await self._wait()
        elif self._inflate is not None:  # a thousand octets may inflate to a million
            await asyncio.sleep(0)
        data = self._incoming[0] if len(self._incoming) == 1 else b"".join(self._incoming)
        self.discard_input()
        if self._inflate is not None:
            data = self._expand(self._inflate, data)
        if self._paused_reading and not self._lost:
            self._paused_reading = False
            self._open().resume_reading()
        self._progress += len(data)
        if self._progress >= MIN_PROGRESS_OCTETS:
            self.restart_deadline()
        return data

    def raise_if_revoked(self) -> None:
        """Raises EndRequested if the key was revoked, so that no pipelined command is executed after that."""
        if self._end_reason is Farewell.REVOKED:
            raise EndRequested(self._end_reason)

    def discard_input(self) -> int:
        """Discard received octets that were not read yet; returns their number."""
        dropped = self._incoming_size
        self._incoming.clear()
        self._incoming_size = 0
        return dropped

    def write(self, octets: bytes) -> None:
        """Queue octets for the next flush."""
        self._outgoing.append(octets)
        self._outgoing_size += len(octets)
        self.written += len(octets)

    @property
    def is_full(self) -> bool:
        """Whether the write buffer should be flushed."""
        return self._outgoing_size >= WRITE_HIGH_WATER_OCTETS

    async def flush(self) -> None:
        """Send queued octets; waits while the client does not read. Raises ClientGone."""
        self.send_queued()
        if self._drain_waiter is not None:
            self.restart_deadline()
            await self._drain_waiter
            self.deadline = NO_DEADLINE
        if self._lost:
            raise ClientGone(self._abort_reason)

    def send_queued(self) -> None:
        """Pass queued octets to the transport, without waiting."""
        if self._outgoing and not self._lost:
            octets = b"".join(self._outgoing) if len(self._outgoing) > 1 else self._outgoing[0]
            if self._deflate is not None:
                octets = self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            self._open().write(octets)
        self._outgoing.clear()
        self._outgoing_size = 0

    async def attach(self, sock: socket.socket) -> None:
        """Take over an accepted socket."""
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, sock)

    async def attach_tls(self, sock: socket.socket, context: ssl.SSLContext, timeout: float) -> None:
        """Take over an accepted socket after a TLS handshake. Raises HandshakeFailed."""
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: self, sock, ssl=context, ssl_handshake_timeout=timeout)
        except OSError as error:
            raise HandshakeFailed(error) from None
        if self._transport is None:
            raise HandshakeFailed(ConnectionResetError())

    async def start_tls(self, context: ssl.SSLContext, timeout: float) -> None:
        """Perform the TLS handshake. Raises HandshakeFailed."""
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._open(), self, context, server_side=True, ssl_handshake_timeout=timeout
            )
        except OSError as error:
            raise HandshakeFailed(error) from None
        if transport is None:
            raise HandshakeFailed(ConnectionResetError())
        self._transport = transport

    def start_compression(self) -> None:
        """Deflate both directions from here on (RFC 4978)."""
        self.discard_input()
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def close(self) -> None:
        """Send queued octets, then close."""
        self.deadline = NO_DEADLINE
        self.discard_input()
        if self._transport is not None:
            self.send_queued()
            self._transport.close()

    def abort(self, reason: Farewell | None = None) -> None:
        """Close at once, and discard queued octets. ClientGone will have the reason."""
        self._abort_reason = reason
        if self._transport is not None:
            self._transport.abort()

    def secure_peer(self, peer: Peer) -> Peer:
        """Return the peer with TLS version and cipher, if TLS is active."""
        if self.tls_object is None:
            return peer
        version, cipher = self.tls_parameters
        return Peer(peer.address, peer.port, True, f"TLSv{version} {cipher}")

    def _expand(self, inflate: "_Inflate", data: bytes) -> bytes:
        """Inflate at most READ_HIGH_WATER_OCTETS; returns none while a block is incomplete. Raises ClientGone."""
        try:
            octets = inflate.decompress(data, READ_HIGH_WATER_OCTETS)
        except zlib.error as error:
            raise ClientGone from error
        if inflate.unconsumed_tail:
            self._incoming.insert(0, inflate.unconsumed_tail)
            self._incoming_size += len(inflate.unconsumed_tail)
        return octets

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._lost:
            raise ClientGone(self._abort_reason)
        return self._transport

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        """Wait for input. Raises ClientGone, EndRequested."""
        while not self._incoming:
            if self._eof:
                raise ClientGone(self._abort_reason)
            if self._end_reason is not None and (not self.defer_end or self._end_reason is Farewell.IDLE):
                raise EndRequested(self._end_reason)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
