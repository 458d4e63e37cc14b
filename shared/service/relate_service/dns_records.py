"""The DNS records of a domain and of this server, as lines of a zone file (RFC 1035 §5.1). Pure.

A line has the name with its final dot, the class and the type; its TTL is the zone's.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from relate_accounts.addresses import canonical_domain
from relate_accounts.errors import InvalidAddress
from relate_accounts.types import DomainKey
from relate_wire.published import Endpoint

MAX_STRING_OCTETS = 255
"""Of each string of a TXT record (RFC 1035 §3.3.14)."""
STS_HOST_PREFIX = "mta-sts."
"""Of the host that serves a domain's MTA-STS policy (RFC 8461 §3.3)."""
SPF_OF_NONE = "v=spf1 -all"
"""No server sends mail of the domain (RFC 7208)."""
MX_PREFERENCE_NUMBER = 10
HTTPS_PORT = 443
"""The only port at which clients request autoconfiguration and MTA-STS policies."""

_STRING, _ESCAPED = re.compile(r'"((?:[^"\\]|\\.)*+)"'), re.compile(r"\\(.)")
_QUOTED, _ESCAPE = re.compile(r'["\\]'), r"\\\g<0>"  # RFC 1035 §5.1


class Record(NamedTuple):
    """A record: its name without the final dot, its type, and its value as in a zone file."""

    name: str
    type: str
    value: str

    @property
    def text(self) -> str:
        """The value of a TXT record without the quotes and escapes of a zone file."""
        return "".join(_ESCAPED.sub(r"\1", string) for string in _STRING.findall(self.value))


class Servers(NamedTuple):
    """What the records of domains name: where the services are reached, the MX host by the name of `smtp`.

    `sts_record` is the value of the MTA-STS record, None without a policy. With a `smarthost` mail leaves by it.
    """

    smtp: Endpoint
    pop3: Endpoint
    imap: Endpoint
    api: Endpoint
    sts_record: str | None
    smarthost: bool


def parse_line(line: str) -> Record:
    """The record of one of the lines that this module makes."""
    name, _, kind, value = line.split(" ", 3)
    return Record(name.removesuffix("."), kind, value)


def domain_records(domain: str, keys: Sequence[DomainKey], servers: Servers) -> list[str]:
    """All records of a domain, of what is served."""
    smtp, pop3, imap, api = (in_ascii(each) for each in servers[:4])
    return [
        *domain_lines(domain, smtp.server, keys, smarthost=servers.smarthost),
        *service_lines(domain, smtp, pop3, imap),
        *web_lines(domain, api, servers.sts_record),
    ]


def in_ascii(endpoint: Endpoint) -> Endpoint:
    """An endpoint with its name in A-labels, without the final dot; an address as it is."""
    name = endpoint.server.removesuffix(".")
    try:
        return endpoint._replace(server=canonical_domain(name))
    except InvalidAddress:
        return endpoint._replace(server=name)


def spf(*, smarthost: bool = False) -> str:
    """The SPF record: mail of the domain comes from its MX only; with a smarthost, perhaps from other servers, too."""
    return "v=spf1 mx ?all" if smarthost else "v=spf1 mx -all"


def dmarc(domain: str) -> str:
    """The first DMARC record of a domain (RFC 7489 §6.3): other servers report, and refuse nothing because of it."""
    return f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"


def dmarc_name(domain: str) -> str:
    """The name of a domain's DMARC record (RFC 7489 §6.1)."""
    return f"_dmarc.{domain}"


def mx_line(domain: str, server: str) -> str:
    """The MX record of a domain."""
    return f"{domain}. IN MX {MX_PREFERENCE_NUMBER} {server}."


def zone_strings(record: str) -> str:
    """The value of a TXT record as in a zone file: quoted strings of at most MAX_STRING_OCTETS (RFC 1035 §5.1)."""
    strings = (record[start : start + MAX_STRING_OCTETS] for start in range(0, len(record), MAX_STRING_OCTETS))
    return " ".join(f'"{_QUOTED.sub(_ESCAPE, string)}"' for string in strings)


def txt_line(name: str, value: str) -> str:
    """A TXT record."""
    return f"{name}. IN TXT {zone_strings(value)}"


def address_line(name: str, address: IPv4Address | IPv6Address) -> str:
    """The A or AAAA record of a name."""
    return f"{name}. IN {'A' if address.version == 4 else 'AAAA'} {address}"


def ptr_line(address: IPv4Address | IPv6Address, name: str) -> str:
    """The PTR record of an address (RFC 1035 §3.5, RFC 3596 §2.5)."""
    return f"{address.reverse_pointer}. IN PTR {name}."


def key_lines(key: DomainKey) -> list[str]:
    """The records of the DKIM keys of a selector."""
    return [txt_line(name, value) for name, value in key.records.items()]


def domain_lines(domain: str, server: str, keys: Sequence[DomainKey], *, smarthost: bool) -> list[str]:
    """The records of a domain that receives mail at `server`, and sends from it or by a smarthost."""
    return [
        mx_line(domain, server),
        txt_line(domain, spf(smarthost=smarthost)),
        *(line for key in keys for line in key_lines(key)),
        txt_line(dmarc_name(domain), dmarc(domain)),
    ]


def srv_line(name: str, priority: int, port: int, server: str) -> str:
    """An SRV record (RFC 2782)."""
    return f"{name}. IN SRV {priority} 1 {port} {server}."


def cname_line(name: str, server: str) -> str:
    """A CNAME record."""
    return f"{name}. IN CNAME {server}."


def sts_name(domain: str) -> str:
    """The name of a domain's MTA-STS record (RFC 8461 §3.1)."""
    return f"_mta-sts.{domain}"


def is_host_name(server: str) -> bool:
    """Whether other hosts may find a server by this name; not `localhost`, nor an address."""
    return "." in server and ":" not in server and not server.rpartition(".")[2].isdigit()


def service_lines(domain: str, smtp: Endpoint, pop3: Endpoint, imap: Endpoint) -> list[str]:
    """The records by which mail programs find the services (RFC 6186 §3, RFC 8314 §5.1), of those that they reach.

    Implicit TLS comes first, and IMAP before POP3.
    """
    offers = [
        ("submissions", 0, smtp, smtp.secure_port),
        ("submission", 10, smtp, smtp.port),
        ("imaps", 0, imap, imap.secure_port),
        ("imap", 10, imap, imap.port),
        ("pop3s", 20, pop3, pop3.secure_port),
        ("pop3", 30, pop3, pop3.port),
    ]
    return [
        srv_line(f"_{name}._tcp.{domain}", priority, port, endpoint.server)
        for name, priority, endpoint, port in offers
        if port is not None and endpoint.enabled and is_host_name(endpoint.server)
    ]


def serves_web(api: Endpoint) -> bool:
    """Whether other hosts reach the API where they ask for autoconfiguration and policies."""
    return api.enabled and api.secure_port == HTTPS_PORT and is_host_name(api.server)


def web_lines(domain: str, api: Endpoint, sts_record: str | None) -> list[str]:
    """The records of what the API serves for a domain; none if it is not reached there.

    `sts_record` is the value of the MTA-STS record, None without a policy.
    """
    if not serves_web(api):
        return []
    lines = [
        cname_line(f"autoconfig.{domain}", api.server),
        srv_line(f"_autodiscover._tcp.{domain}", 0, HTTPS_PORT, api.server),
    ]
    if sts_record is not None:
        lines += [cname_line(f"{STS_HOST_PREFIX}{domain}", api.server), txt_line(sts_name(domain), sts_record)]
    return lines
