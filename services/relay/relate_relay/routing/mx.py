"""The hosts that receive the mail of a domain, in the order in which they are tried (RFC 5321 §5.1). Awaits `Dns` only.

No MX record: the domain is its own host (the implicit MX). The only MX is `.`: the domain accepts no mail (RFC 7505).
An MX whose name is this system's, and all MX of the same or a higher preference number, are dropped; `endpoints` does
the same by address. Two errors are tolerated, as Postfix does: an alias as the name of an MX (against RFC 2181 §10.3),
and an IP address as its name (against RFC 5321 §5.1). An MX whose name is no host name is ignored.
"""

from dataclasses import dataclass
from random import Random

from relate_outbound.dns.names import is_host_name, parse_address, parse_literal, to_ascii
from relate_outbound.dns.ports import Dns, DnsFault, DnsPermanent, DnsTemporary, MxRecord
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.unroutable import Unroutable, bad_domain, dns_failed, mail_loop, no_host, null_mx

MAX_HOSTS = 20
"""The hosts of a route. An attempt tries fewer addresses than this many hosts have."""
IMPLICIT_PREFERENCE_NUMBER = 0
"""The preference of the implicit MX (RFC 5321 §5.1)."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """A host that receives mail: its name, or the text of its IP address. A lower preference number is tried first."""

    name: str
    preference: int


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts of a domain (A-labels, or an address literal), at least one, in the order in which they are tried.

    `is_smarthost` if the administrator named the host, and not the DNS.
    """

    domain: str
    hosts: tuple[MailHost, ...]
    is_smarthost: bool = False


def smarthost_route(domain: str, host: str) -> Route:
    """The route for a domain to its smarthost, a name or an IP address."""
    return Route(domain, (MailHost(host, IMPLICIT_PREFERENCE_NUMBER),), is_smarthost=True)


async def find_route(
    dns: Dns, domain: str, *, ourselves: Ourselves, random: Random | None = None
) -> Route | Unroutable:
    """The route to a domain or an address literal, with hosts of equal preference in random order (RFC 5321 §5.1)."""
    if domain.startswith("["):
        address = parse_literal(domain)
        if address is None:
            return bad_domain(domain)
        return Route(domain, (MailHost(str(address), IMPLICIT_PREFERENCE_NUMBER),))
    name = to_ascii(domain)
    if name is None:
        return bad_domain(domain)
    try:
        records = (await dns.mx(name)).items
    except DnsPermanent as error:
        if error.fault is not DnsFault.NO_DATA:
            return bad_domain(name)
        records = (MxRecord(IMPLICIT_PREFERENCE_NUMBER, name),)
    except DnsTemporary as error:
        return dns_failed(name, error)
    if len(records) == 1 and not records[0].exchange:
        return null_mx(name)
    return _choose(name, records, ourselves, random or Random())  # noqa: S311 spreads load, protects nothing


def _choose(domain: str, records: tuple[MxRecord, ...], ourselves: Ourselves, random: Random) -> Route | Unroutable:
    own = min((record.preference for record in records if record.exchange in ourselves.names), default=None)
    usable = [record for record in records if _is_host(record.exchange)]
    if not usable:
        return no_host(domain)
    best = [record for record in usable if own is None or record.preference < own]
    if not best:
        return mail_loop(domain)
    random.shuffle(best)
    best.sort(key=lambda record: record.preference)  # stable: equal preferences stay in random order
    preferences: dict[str, int] = {}
    for record in best:
        preferences.setdefault(record.exchange, record.preference)  # a name with several is tried once, at the best
    return Route(domain, tuple(MailHost(*host) for host in preferences.items())[:MAX_HOSTS])


def _is_host(name: str) -> bool:
    return is_host_name(name) or parse_address(name) is not None
