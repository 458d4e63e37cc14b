"""Determines the client of a request behind trusted proxies, from `Forwarded` (RFC 7239) or `X-Forwarded-For`/`-Proto`.

Each proxy appends its own client, so the fields are read from the right for as long as the sender is a trusted proxy.
uvicorn's ProxyHeadersMiddleware is not used, because it ignores `Forwarded` and accepts any text as an address.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from relate_wire.limits import Network, is_in
from relate_wire.ports import Peer

# Bounds the cost of a long field.
MAX_FORWARDED_ELEMENTS = 20
MAX_PORT = 65_535

Fields = Sequence[tuple[bytes, bytes]]  # names in lower case with their values

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token, RFC 9110 §5.6.2
_PAIR = re.compile(rf'[ \t]*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*')  # RFC 7239 §4, plus optional white space
_NODE = re.compile(  # RFC 7239 §6; a port may be obfuscated
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]*)\]|(?P<v4>[0-9.]*))(?::(?:(?P<port>[0-9]{1,5})|_[A-Za-z0-9._-]+))?"
)


class RequestClient(NamedTuple):
    """The client of a request; implements `relate_wire.config.Connected`."""

    address: str
    port: int
    secure: bool  # uses TLS up to the first proxy
    is_loopback: bool  # the request came from this machine


class ForwardedElement(NamedTuple):
    """The client that one proxy reports; None for a missing parameter."""

    address: str | None
    port: int
    proto: str | None


def resolve_client(peer: Peer, fields: Fields, proxies: tuple[Network, ...]) -> RequestClient:
    """The client of a request from `peer`: the rightmost address that does not belong to a trusted proxy.

    Malformed elements, and elements left of the first untrusted address, are ignored. If both `Forwarded` and
    `X-Forwarded-For` are present they must agree, because a proxy that sets one passes on a forged other one.
    """
    direct = RequestClient(peer.address, peer.port, peer.secure, peer.is_loopback)
    if not is_in(peer.address, proxies):
        return direct
    sources = [elements for elements in (_forwarded(fields), _x_forwarded(fields)) if elements is not None]
    nearest = [_nearest_untrusted(islice(elements, MAX_FORWARDED_ELEMENTS), proxies) for elements in sources]
    if not nearest:
        return direct  # a request of the proxy itself, such as a health check
    addresses = {element.address: element.port for element in nearest if element.address is not None}
    address, port = addresses.popitem() if len(addresses) == 1 else (peer.address, peer.port)
    protos = {element.proto for element in nearest if element.proto is not None}
    return RequestClient(address, port, protos == {"https"} if protos else peer.secure, is_loopback=False)


def _nearest_untrusted(elements: Iterable[ForwardedElement | None], proxies: tuple[Network, ...]) -> ForwardedElement:
    """The client among elements from right to left; its address is None if the nearest proxy does not report one."""
    client = ForwardedElement(None, 0, None)
    for element in elements:
        if element is None:
            break
        if element.address is None:
            return ForwardedElement(client.address, client.port, element.proto)
        client = element
        if not is_in(element.address, proxies):
            break
    return client


def _forwarded(fields: Fields) -> Iterator[ForwardedElement | None] | None:
    """The elements of `Forwarded` from right to left, None for a malformed one; None without such a field.

    An element ends at any comma, so that an unclosed quote of a client cannot hide what a proxy appends.
    """
    elements = _list_members(fields, b"forwarded")
    return map(_parse_element, elements) if elements else None


def _parse_element(element: str) -> ForwardedElement | None:
    parameters: dict[str, str] = {}
    for pair in element.split(";"):
        match = _PAIR.fullmatch(pair)
        if match is None or match[1].lower() in parameters:  # RFC 7239 §4: each parameter at most once
            return None
        parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2][1:-1]) if match[2][0] == '"' else match[2]
    address, port = parse_node(parameters.get("for", "")) or (None, 0)
    return ForwardedElement(address, port, parameters.get("proto", "").lower() or None)


def _x_forwarded(fields: Fields) -> Iterator[ForwardedElement] | None:
    """`X-Forwarded-For` paired with `X-Forwarded-Proto`, from right to left; None without either.

    A single protocol applies to all elements. Several protocols are paired with the addresses; if their numbers differ,
    the least secure one applies to all.
    """
    nodes = _list_members(fields, b"x-forwarded-for")
    protos = [proto.lower() for proto in _list_members(fields, b"x-forwarded-proto")]
    if not nodes and not protos:
        return None
    nodes = nodes or [""]
    weakest = next((proto for proto in protos if proto != "https"), protos[0] if protos else None)
    paired: Sequence[str | None] = protos if len(protos) == len(nodes) else [weakest] * len(nodes)
    return map(_x_forwarded_element, nodes, paired)


def _x_forwarded_element(node: str, proto: str | None) -> ForwardedElement:
    address, port = parse_node(node) or (None, 0)
    return ForwardedElement(address, port, proto)


def parse_node(node: str) -> tuple[str, int] | None:
    """Parse an address with an optional port (0 if missing), IPv6 in brackets or bare; None if it is not an address.

    An IPv4-mapped IPv6 address is returned as IPv4.
    """
    match = _NODE.fullmatch(node)
    port = int(match["port"] or 0) if match else 0
    try:
        if match and match["v4"]:
            return (str(ipaddress.IPv4Address(match["v4"])), port) if port <= MAX_PORT else None
        ip = ipaddress.IPv6Address(match["v6"] if match else node)
    except ValueError:
        return None
    if ip.scope_id is not None or port > MAX_PORT:
        return None
    return str(ip.ipv4_mapped or ip), port


def _list_members(fields: Fields, name: bytes) -> list[str]:
    """The non-empty members of a list field (RFC 9110 §5.6.1), from right to left."""
    values = [value.decode("latin-1") for field, value in fields if field == name]
    members = (member.strip(" \t") for value in reversed(values) for member in reversed(value.split(",")))
    return [member for member in members if member]
