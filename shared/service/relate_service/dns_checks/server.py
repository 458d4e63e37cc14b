"""Whether the DNS knows this server: the addresses of its name, and the PTR records of its addresses."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

from relate_outbound.addresses import is_global
from relate_outbound.dns.names import IPAddress, to_ascii
from relate_outbound.dns.ports import Dns, DnsError, DnsPermanent
from relate_service.dns_records import address_line, ptr_line
from relate_service.findings import Finding, error, listed, ok, warning

# Addresses of the DNS's root server A, which exist as long as the DNS does. Nothing is sent to them.
_DISTANT = ((socket.AF_INET, "198.41.0.4"), (socket.AF_INET6, "2001:503:ba3e::2:30"))
_ANY_PORT = 53

AGAIN = "run this again when the name server answers"


class Names(NamedTuple):
    """The names of this server in A-labels: that which MX records name, and that in EHLO."""

    mx: str
    ehlo: str


class Sources(NamedTuple):
    """The addresses that mail leaves from. They are assumed if they are those of the server's name."""

    addresses: Sequence[IPAddress]
    assumed: bool = False


def own_names(server_name: str, helo_name: str) -> Names | Finding:
    """The names by `Smtp__ServerName` and `Relay__HeloName`; an error if another server could not resolve one."""
    for variable, text in (("Smtp__ServerName", server_name), ("Relay__HeloName", helo_name or server_name)):
        name = to_ascii(text)
        if name is None or "." not in name or name.endswith(".localdomain"):
            problem = f"{text} is no name that other servers can find"
            return error(
                "server name", problem, f"set {variable} to this host's name in the DNS, such as mail.example.org"
            )
    return Names(to_ascii(server_name) or "", to_ascii(helo_name or server_name) or "")


def global_sources() -> Sequence[IPAddress]:
    """The addresses of this machine that connections to distant hosts leave from, if they are globally routable.

    The kernel chooses them; no packet is sent.
    """
    found = []
    for family, distant in _DISTANT:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((distant, _ANY_PORT))
            except OSError:  # no route
                continue
            found.append(ipaddress.ip_address(probe.getsockname()[0]))
    return [address for address in found if is_global(address)]


async def assumed_sources(dns: Dns, names: Names) -> Sources:
    """The addresses of the name in EHLO, from which mail leaves if this machine is behind NAT."""
    return Sources([address for address in await name_addresses(dns, names.ehlo) if is_global(address)], assumed=True)


async def find_sources(dns: Dns, names: Names, own: Sequence[IPAddress]) -> Sources:
    """The addresses that mail leaves from: `own`, which are `global_sources()`, or those of the name in EHLO."""
    return Sources(own) if own else await assumed_sources(dns, names)


async def check_name(dns: Dns, name: str, own: Sequence[IPAddress]) -> Finding:
    """Check that a name of this server has an address, and that it is this machine's; `own` may be empty."""
    lines = [address_line(name, address) for address in own] or [f"{name}. IN A ADDRESS"]
    try:
        addresses = (await dns.addresses(name)).items
    except DnsPermanent as fault:
        return error("server name", str(fault), "publish:", *lines)
    except DnsError as fault:
        return warning("server name", f"cannot tell, because of {fault}", AGAIN)
    text = f"{name} is {listed(addresses)}"
    if not any(map(is_global, addresses)):
        return error("server name", f"{text}, which other hosts cannot reach", "publish:", *lines)
    missing = [address for address in own if address not in addresses]
    if missing:
        remedy = "publish, unless mail is received at another address:"
        lines = [address_line(name, address) for address in missing]
        return warning("server name", f"{text}, but mail leaves from {listed(missing)}", remedy, *lines)
    return ok("server name", text)


async def check_ptr(dns: Dns, address: IPAddress, names: Names) -> Finding:
    """Check that an address has the EHLO name as its name, and that this name has the address."""
    subject = f"PTR {address}"
    remedy = f"set it at the provider of the address, which owns its zone, to {names.ehlo}:"
    line = ptr_line(address, names.ehlo)
    try:
        found = (await dns.ptr(address)).items
    except DnsPermanent:
        return error(subject, "missing; many servers refuse mail from an address without a name", remedy, line)
    except DnsError as fault:
        return warning(subject, f"cannot tell, because of {fault}", AGAIN)
    leading = await asyncio.gather(*(name_addresses(dns, name) for name in found))
    confirmed = [name for name, addresses in zip(found, leading, strict=True) if address in addresses]
    if names.ehlo in confirmed:
        return ok(subject, f"is {names.ehlo}, as EHLO says, and leads back")
    if confirmed:
        text = f"is {listed(confirmed)}, but EHLO says {names.ehlo}; some servers refuse that"
        return warning(subject, text, remedy, line)
    if names.ehlo in found:
        text = f"is {names.ehlo}, which does not lead back to the address"
        return error(subject, text, "publish:", address_line(names.ehlo, address))
    return error(subject, f"is {listed(found)}, which does not lead back to the address", remedy, line)


async def name_addresses(dns: Dns, name: str) -> Sequence[IPAddress]:
    """The addresses of a name, none if the DNS does not say."""
    try:
        return (await dns.addresses(name)).items
    except DnsError:
        return ()


async def check_server(dns: Dns, names: Names, own: Sequence[IPAddress], leaving: Sources | None) -> list[Finding]:
    """Check the names of this server and, unless `leaving` is None, the addresses that its mail leaves from."""
    if leaving is None:
        return [await check_name(dns, names.mx, ())]
    checks = [check_name(dns, name, own) for name in dict.fromkeys(names)]
    checks += [check_ptr(dns, address, names) for address in leaving.addresses]
    return list(await asyncio.gather(*checks))
