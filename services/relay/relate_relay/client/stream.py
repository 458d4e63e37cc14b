"""The socket of a connection to another server: connect, buffered reads, writes with backpressure, TLS.

It knows no protocol. Reading is paused while the dialogue is behind, so that memory is bounded whatever the server
sends.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

from relate_relay.client.errors import ConnectFailed, ConnectFault, DisconnectFault, TlsFailed, TlsFault
from relate_wire.tls import tls_parameters

READ_HIGH_WATER_OCTETS = 64 * 1024
"""Reading is paused at so many octets that were not read."""

NO_HOST_NAME = "its name is no host name"


async def connect(address: str, port: int, source: str | None, timeout: float) -> "Stream":
    """Connect to an IP address, from the address `source` if it is given. Raises ConnectFailed."""
    stream = Stream()
    local = None if source is None else (source, 0)
    try:
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().create_connection(lambda: stream, address, port, local_addr=local)
    except OSError as error:
        raise ConnectFailed(connect_fault(error), address, port) from None
    return stream


class Stream(asyncio.Protocol):
    """An open socket. `ended` says how the connection was lost, None while it is open."""

    def __init__(self) -> None:
        self.ended: DisconnectFault | None = None
        self._transport: asyncio.Transport | None = None
        self._received: list[bytes] = []
        self._received_octets = 0
        self._paused_reading = False
        self._read_waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received.append(data)
        self._received_octets += len(data)
        if self._received_octets >= READ_HIGH_WATER_OCTETS and not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`; the transport closes itself."""
        self.ended = self.ended or DisconnectFault.CLOSED
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        if self.ended is None:
            is_timeout = isinstance(exc, TimeoutError)  # of TCP: octets that were sent are not acknowledged
            lost = DisconnectFault.TIMEOUT if is_timeout else DisconnectFault.RESET
            self.ended = DisconnectFault.CLOSED if exc is None else lost
        self._wake()
        self.resume_writing()
        self._closed.set()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`: the write buffer is full."""
        self._drain_waiter = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`: the write buffer has drained, or is discarded."""
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)
        self._drain_waiter = None

    # --- called by the dialogue and the connection

    @property
    def is_open(self) -> bool:
        """Whether octets can be sent."""
        return self.ended is None and self._transport is not None and not self._transport.is_closing()

    @property
    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS connection, None without TLS."""
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    @property
    def tls_parameters(self) -> tuple[str, str]:
        """The version of TLS, such as `1.3`, and OpenSSL's name of the cipher; empty without TLS."""
        return tls_parameters(self.tls_object)

    def take(self) -> bytes:
        """Return the received octets without waiting; empty if there are none."""
        data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        self._received_octets = 0
        if self._paused_reading and self._transport is not None and not self._transport.is_closing():
            self._paused_reading = False
            self._transport.resume_reading()
        return data

    async def read(self, deadline: float) -> bytes:
        """Wait for octets, and return them; empty at the end of the connection. Raises TimeoutError.

        `deadline` is by the clock of the event loop. One task reads at a time, else the first would never be woken:
        RuntimeError.
        """
        if self._read_waiter is not None:
            raise RuntimeError("another task reads from this connection")
        if not self._received and self.ended is None:
            loop = asyncio.get_running_loop()
            self._read_waiter = loop.create_future()
            timer = loop.call_at(deadline, self._time_out)  # half the cost of asyncio.timeout, for each reply
            try:
                await self._read_waiter
            finally:
                timer.cancel()
                self._read_waiter = None
        return self.take()

    def write(self, pieces: Sequence[bytes]) -> None:
        """Send pieces in one piece; discards them after the end of the connection."""
        if self._transport is not None and self.is_open:
            self._transport.writelines(pieces)

    @property
    def is_full(self) -> bool:
        """Whether the write buffer is full: `drain` before the next write."""
        return self._drain_waiter is not None

    async def drain(self) -> None:
        """Wait until the write buffer has drained, or the connection has ended."""
        if self._drain_waiter is not None:
            await self._drain_waiter

    async def start_tls(
        self, context: ssl.SSLContext, server_hostname: str, handshake_seconds: float, shutdown_seconds: float
    ) -> None:
        """Perform the TLS handshake. Raises TlsFailed; the connection must then be aborted."""
        if self._transport is None or not self.is_open:
            raise TlsFailed(TlsFault.CLOSED)
        if context.check_hostname and not server_hostname:  # asyncio would verify no name
            raise TlsFailed(TlsFault.CERTIFICATE, NO_HOST_NAME)
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=server_hostname or None,
                ssl_handshake_timeout=handshake_seconds,
                ssl_shutdown_timeout=shutdown_seconds,
            )
        except (OSError, ValueError) as error:
            raise tls_failed(error) from None
        if transport is None:  # the connection was lost at the end of the handshake
            raise TlsFailed(TlsFault.CLOSED)
        self._transport = transport

    async def close(self, timeout: float) -> None:
        """Send what was written, then close; aborts the connection after `timeout` seconds."""
        if self._transport is None or self.ended is not None:
            self.abort()
            return
        self._transport.close()
        try:
            async with asyncio.timeout(timeout):
                await self._closed.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close at once, and discard what was written but not sent."""
        self.ended = self.ended or DisconnectFault.CLOSED
        if self._transport is not None:
            self._transport.abort()

    def _time_out(self) -> None:
        if self._read_waiter is not None and not self._read_waiter.done():
            self._read_waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._read_waiter is not None and not self._read_waiter.done():
            self._read_waiter.set_result(None)


def connect_fault(error: OSError) -> ConnectFault:
    """Classify the error of a connection attempt."""
    if isinstance(error, ConnectionRefusedError):
        return ConnectFault.REFUSED
    if isinstance(error, TimeoutError):
        return ConnectFault.TIMEOUT
    if isinstance(error, ConnectionResetError):
        return ConnectFault.RESET
    return ConnectFault.UNREACHABLE


def tls_failed(error: OSError | ValueError) -> TlsFailed:
    """Return the error of a handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(TlsFault.CERTIFICATE, error.verify_message, error.verify_code)
    if isinstance(error, ssl.SSLError):
        return TlsFailed(TlsFault.PROTOCOL, error.reason or "")
    if isinstance(error, ConnectionAbortedError | TimeoutError):  # the former is asyncio's after its timeout
        return TlsFailed(TlsFault.TIMEOUT)
    if isinstance(error, OSError):
        return TlsFailed(TlsFault.CLOSED)
    return TlsFailed(TlsFault.CERTIFICATE, NO_HOST_NAME)
