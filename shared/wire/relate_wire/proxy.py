"""The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, §2.2), which tells the client's address to the server.

Only the binary version, and only TCP over IPv4 and IPv6. TLVs after the addresses are skipped. Parse it only on
connections from trusted proxies, because the sender can claim any address.
"""

import struct
from ipaddress import IPv6Address, ip_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_OCTETS = 16
"""The fixed part, which contains the length of the rest."""

MAX_REST_OCTETS = 4096
"""The longest accepted rest. The protocol allows 65,535; two addresses and common TLVs take a few hundred."""

_HEADER = struct.Struct("!12sBBH")
_PORTS = struct.Struct("!HH")
_VERSION = 2
_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_LENGTHS = {_TCP4: 4, _TCP6: 16}
# UNSPEC, and UDP and Unix sockets, which the protocol allows a receiver to treat as UNSPEC.
_UNSPEC = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})


class ProxyError(Exception):
    """The preamble is malformed or not supported. The text never quotes received octets."""


def parse_preamble(header: bytes) -> int:
    """Parse the fixed part, HEADER_OCTETS long; returns the length of the rest. Raises ProxyError."""
    return _parse_header(header)[2]


def parse_addresses(header: bytes, rest: bytes) -> tuple[str, int] | None:
    """Return the client's address and port; None for the proxy's own connection (LOCAL) or an unknown client (UNSPEC).

    Raises ProxyError. `rest` are the octets after the header, as many as `parse_preamble` returned.
    """
    command, family, length = _parse_header(header)
    if len(rest) != length:
        raise ProxyError("cut short")
    if command == _LOCAL or family in _UNSPEC:
        return None
    if family not in _ADDRESS_LENGTHS:
        raise ProxyError("unknown address family or transport")
    size = _ADDRESS_LENGTHS[family]
    if length < 2 * size + _PORTS.size:
        raise ProxyError("too short for its addresses")
    port, _ = _PORTS.unpack_from(rest, 2 * size)
    return _address(rest[:size]), port


def _parse_header(header: bytes) -> tuple[int, int, int]:
    """Return command, family with transport, and length of the rest."""
    if len(header) != HEADER_OCTETS or not header.startswith(SIGNATURE):
        raise ProxyError("no PROXY protocol version 2 signature")
    _, version_and_command, family, length = _HEADER.unpack(header)
    version, command = version_and_command >> 4, version_and_command & 0x0F
    if version != _VERSION or command not in (_LOCAL, _PROXY):
        raise ProxyError("unknown version or command")
    if length > MAX_REST_OCTETS:
        raise ProxyError("too long")
    return command, family, length


def _address(packed: bytes) -> str:
    """Format an address; an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) as IPv4, because it is the same client."""
    address = ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def encode(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """Encode the preamble of a connection. Raises ValueError unless both addresses are of the same family."""
    source_address, destination_address = ip_address(source[0]), ip_address(destination[0])
    if source_address.version != destination_address.version:
        raise ValueError("one address is IPv4 and the other IPv6")
    family = _TCP4 if source_address.version == 4 else _TCP6
    rest = source_address.packed + destination_address.packed + _PORTS.pack(source[1], destination[1])
    return _HEADER.pack(SIGNATURE, _VERSION << 4 | _PROXY, family, len(rest)) + rest
