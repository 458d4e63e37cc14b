"""One exchange with a name server, over UDP or TCP (RFC 1035 §4.2), within bounds.

dnspython builds, parses and retries; its own exchange has neither of these bounds: a TCP answer of 64 KiB takes it
100 ms in the event loop, and its deadlines follow the system's clock, which may step.
"""

import asyncio
from typing import Any

import dns.exception
import dns.message
import dns.nameserver
import dns.query

MAX_UDP_OCTETS = 1_232
"""The longest datagram, announced by EDNS: it fits into the smallest MTU of IPv6, 1,280 octets (RFC 8200 §5)."""
MAX_TCP_OCTETS = 16_384
"""The longest answer over TCP. The largest MX and TXT sets in practice have a few thousand octets."""
MAX_DATAGRAMS = 16
"""Datagrams that wait to be parsed; more can only be forged ones."""
_HEADER_OCTETS = 12
_FLAGS_OFFSET_OCTETS = 2
# RFC 1035 §4.1.1: a response, to a standard query, that is truncated
_QR_OPCODE_MASK = 0xF8
_QUERY_RESPONSE_FLAGS = 0x80
_TC_MASK = 0x02


class BoundedNameserver(dns.nameserver.Do53Nameserver):
    """A name server of `dns.asyncresolver`."""

    async def async_query(  # noqa: PLR0917 the interface of dnspython
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Any,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """Ask over TCP if `max_size`, else over UDP. Raises DNSException, `Truncated` among them, OSError, EOFError."""
        try:
            async with asyncio.timeout(timeout):
                return await (self._ask_tcp(request) if max_size else self._ask_udp(request))
        except TimeoutError:
            raise dns.exception.Timeout from None

    async def _ask_udp(self, request: dns.message.QueryMessage) -> dns.message.Message:
        loop = asyncio.get_running_loop()
        # The socket is connected, so that the kernel drops the datagrams of other hosts and reports a closed port.
        # Its random port and the message's random ID are what a forger has to guess (RFC 5452 §9).
        transport, answers = await loop.create_datagram_endpoint(
            lambda: _Answers(request.id), remote_addr=(self.address, self.port)
        )
        try:
            transport.sendto(request.to_wire())
            while True:
                response = parse_datagram(await answers.next())
                if response is not None and request.is_response(response):
                    return response
        finally:
            transport.close()

    async def _ask_tcp(self, request: dns.message.QueryMessage) -> dns.message.Message:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(request.to_wire(prepend_length=True))
            octets = int.from_bytes(await reader.readexactly(2))
            if octets > MAX_TCP_OCTETS:
                raise dns.exception.FormError
            answer = await reader.readexactly(octets)
        finally:
            writer.close()
        # In a thread, because a full answer takes longer to parse than the event loop may be held.
        response = await asyncio.to_thread(dns.message.from_wire, answer)
        if not request.is_response(response):
            raise dns.query.BadResponse
        return response


class _Answers(asyncio.DatagramProtocol):
    """The datagrams that may be the answer to a query; others are dropped, because anyone can send them."""

    def __init__(self, query_id: int) -> None:
        self._id = query_id.to_bytes(2)
        self._received: asyncio.Queue[bytes | OSError] = asyncio.Queue(MAX_DATAGRAMS)

    def datagram_received(self, data: bytes, _address: Any) -> None:
        is_candidate = _HEADER_OCTETS <= len(data) <= MAX_UDP_OCTETS and data.startswith(self._id)
        if is_candidate and data[_FLAGS_OFFSET_OCTETS] & _QR_OPCODE_MASK == _QUERY_RESPONSE_FLAGS:
            self._put(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self._put(exc)

    def _put(self, received: bytes | OSError) -> None:
        if not self._received.full():
            self._received.put_nowait(received)

    async def next(self) -> bytes:
        """The next datagram. Raises OSError if the name server's port is closed."""
        received = await self._received.get()
        if isinstance(received, OSError):
            raise received
        return received


def parse_datagram(octets: bytes) -> dns.message.Message | None:
    """The message; None if it is malformed. Raises dns.message.Truncated."""
    if octets[_FLAGS_OFFSET_OCTETS] & _TC_MASK:
        raise dns.message.Truncated
    try:
        return dns.message.from_wire(octets)
    except dns.exception.DNSException:
        return None
