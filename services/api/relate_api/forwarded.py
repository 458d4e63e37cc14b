"""The client of a request behind trusted proxies, by `Forwarded` (RFC 7239), `X-Forwarded-For` and `-Proto`.

Each proxy appends its own client, so these fields are read from the right, as long as the writer is a trusted proxy.
uvicorn's ProxyHeadersMiddleware is no replacement: it ignores `Forwarded`, and takes any text for an address.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from relate_wire.limits import Network, is_in
from relate_wire.ports import Peer

# Proxies that are looked through, so that a long list of addresses costs no more than this.
MAX_HOPS = 20
MAX_PORT = 65_535

Fields = Sequence[tuple[bytes, bytes]]  # names in lower case, and values

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token, RFC 9110 §5.6.2
_PAIR = re.compile(rf'[ \t]*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*')  # RFC 7239 §4, and spaces that it has not
_NODE = re.compile(  # RFC 7239 §6; a port may be obfuscated
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]*)\]|(?P<v4>[0-9.]*))(?::(?:(?P<port>[0-9]{1,5})|_[A-Za-z0-9._-]+))?"
)


class Client(NamedTuple):
    """The client of a request; a `relate_wire.config.Connected`."""

    address: str
    port: int
    secure: bool  # TLS is on, up to the first proxy
    is_loopback: bool  # the request never left this machine


class Hop(NamedTuple):
    """What one proxy states about its client; None for what it leaves out."""

    address: str | None
    port: int
    proto: str | None


def client_of(peer: Peer, fields: Fields, proxies: tuple[Network, ...]) -> Client:
    """The client of a request that came from `peer`: the rightmost address that is no trusted proxy's.

    What is malformed, or beyond the first address that is not trusted, is ignored. `Forwarded` and `X-Forwarded-For`
    must agree where both are sent, because a proxy that sets one of them passes a forged other one on.
    """
    direct = Client(peer.address, peer.port, peer.secure, peer.is_loopback)
    if not is_in(peer.address, proxies):
        return direct
    sources = [hops for hops in (_forwarded(fields), _x_forwarded(fields)) if hops is not None]
    found = [_nearest_untrusted(islice(hops, MAX_HOPS), proxies) for hops in sources]
    if not found:
        return direct  # the proxy's own request, such as a health check
    addresses = {hop.address: hop.port for hop in found if hop.address is not None}
    address, port = addresses.popitem() if len(addresses) == 1 else (peer.address, peer.port)
    protos = {hop.proto for hop in found if hop.proto is not None}
    return Client(address, port, protos == {"https"} if protos else peer.secure, is_loopback=False)


def _nearest_untrusted(hops: Iterable[Hop | None], proxies: tuple[Network, ...]) -> Hop:
    """The client among hops from right to left; its address is None where the nearest proxy does not state one."""
    client = Hop(None, 0, None)
    for hop in hops:
        if hop is None:
            break
        if hop.address is None:
            return Hop(client.address, client.port, hop.proto)
        client = hop
        if not is_in(hop.address, proxies):
            break
    return client


def _forwarded(fields: Fields) -> Iterator[Hop | None] | None:
    """The elements of `Forwarded` from right to left, a malformed one as None; None without such a field.

    An element ends at any comma, so that a quote that a client leaves open cannot hide what a proxy appends.
    """
    elements = _elements(fields, b"forwarded")
    return map(_element, elements) if elements else None


def _element(element: str) -> Hop | None:
    parameters: dict[str, str] = {}
    for pair in element.split(";"):
        match = _PAIR.fullmatch(pair)
        if match is None or match[1].lower() in parameters:  # RFC 7239 §4: each parameter once at the most
            return None
        parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2][1:-1]) if match[2][0] == '"' else match[2]
    address, port = parse_node(parameters.get("for", "")) or (None, 0)
    return Hop(address, port, parameters.get("proto", "").lower() or None)


def _x_forwarded(fields: Fields) -> Iterator[Hop] | None:
    """`X-Forwarded-For` with `X-Forwarded-Proto`, from right to left; None without either.

    One protocol is that of all hops. Several belong to one address each; where they do not, the least secure counts.
    """
    nodes = _elements(fields, b"x-forwarded-for")
    protos = [proto.lower() for proto in _elements(fields, b"x-forwarded-proto")]
    if not nodes and not protos:
        return None
    nodes = nodes or [""]
    weakest = next((proto for proto in protos if proto != "https"), protos[0] if protos else None)
    paired: Sequence[str | None] = protos if len(protos) == len(nodes) else [weakest] * len(nodes)
    return map(_hop, nodes, paired)


def _hop(node: str, proto: str | None) -> Hop:
    address, port = parse_node(node) or (None, 0)
    return Hop(address, port, proto)


def parse_node(node: str) -> tuple[str, int] | None:
    """An address with an optional port (0 for none), IPv6 in brackets or bare; None for what is no address.

    An IPv4 address mapped into IPv6 is the IPv4 address.
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


def _elements(fields: Fields, name: bytes) -> list[str]:
    """The members of a list field, from right to left, empty ones left out (RFC 9110 §5.6.1)."""
    values = [value.decode("latin-1") for found, value in fields if found == name]
    members = (member.strip(" \t") for value in reversed(values) for member in reversed(value.split(",")))
    return [member for member in members if member]
