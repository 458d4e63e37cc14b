"""The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, §2.2): whom a trusted proxy speaks for.

Only the binary version, and only TCP over IPv4 and IPv6. The TLVs after the addresses are skipped. Nobody but a
trusted proxy may be believed: this is where anyone can claim any address.
"""

import struct
from ipaddress import IPv6Address, ip_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_OCTETS = 16
"""Octets of the fixed part, which says how many follow."""

MAX_REST_OCTETS = 4096
"""Octets that may follow. The protocol allows 65,535; two addresses and the TLVs in use take a few hundred."""

_HEADER = struct.Struct("!12sBBH")
_PORTS = struct.Struct("!HH")
_VERSION = 2
_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_LENGTHS = {_TCP4: 4, _TCP6: 16}
# UNSPEC, and what is to be treated like it where it is not supported: UDP and Unix sockets.
_UNSPEC = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})


class ProxyError(Exception):
    """Not a PROXY preamble, or not one that is understood here. The text repeats nothing of what was received."""


def parse_preamble(header: bytes) -> int:
    """How many octets follow these `HEADER_OCTETS` ones. Raises ProxyError."""
    return _parse_header(header)[2]


def parse_addresses(header: bytes, rest: bytes) -> tuple[str, int] | None:
    """The client's address and port; None when the proxy speaks for itself (LOCAL) or cannot say (UNSPEC).

    Raises ProxyError. `rest` is what follows the header, as long as `parse_preamble` said.
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
    """Command, family with transport, and length of the rest."""
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
    """An address in text; an IPv4 one in IPv6's clothes (RFC 4291 §2.5.5.2) is the same client as the IPv4 one."""
    address = ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def encode(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """The preamble of a connection from `source` to `destination`. Raises ValueError unless they are of one family."""
    source_address, destination_address = ip_address(source[0]), ip_address(destination[0])
    if source_address.version != destination_address.version:
        raise ValueError("one address is IPv4 and the other IPv6")
    family = _TCP4 if source_address.version == 4 else _TCP6
    rest = source_address.packed + destination_address.packed + _PORTS.pack(source[1], destination[1])
    return _HEADER.pack(SIGNATURE, _VERSION << 4 | _PROXY, family, len(rest)) + rest
