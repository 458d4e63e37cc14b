"""The ports `Dns` and `RecordDns` in memory, for tests of what is decided from its answers."""

from collections.abc import Mapping
from typing import TypeVar

from relate_outbound.dns.names import IPAddress, parse_address
from relate_outbound.dns.ports import DnsFault, MxRecord, Records, SrvRecord, dns_error

TTL_SECONDS = 300.0

T = TypeVar("T")


class FakeDns:
    """Answers from mappings of names; a fault in the place of records is raised. Other names do not exist."""

    def __init__(
        self,
        *,
        mx: Mapping[str, list[MxRecord] | DnsFault] | None = None,
        addresses: Mapping[str, list[str] | DnsFault] | None = None,
        txt: Mapping[str, list[bytes] | DnsFault] | None = None,
        ptr: Mapping[str, list[str] | DnsFault] | None = None,
        srv: Mapping[str, list[SrvRecord] | DnsFault] | None = None,
        cname: Mapping[str, list[str] | DnsFault] | None = None,
    ) -> None:
        self.mx_records = dict(mx or {})
        self.host_addresses = dict(addresses or {})
        self.texts = dict(txt or {})
        self.names = dict(ptr or {})
        self.services = dict(srv or {})
        self.aliases = dict(cname or {})
        self.resolved: list[str] = []
        """The hosts whose addresses were requested, in order."""

    async def mx(self, domain: str) -> Records[MxRecord]:
        """See `Dns`."""
        return Records(tuple(_found(domain, self.mx_records)), TTL_SECONDS)

    async def addresses(self, host: str) -> Records[IPAddress]:
        """See `Dns`."""
        self.resolved.append(host)
        found = map(parse_address, _found(host, self.host_addresses))
        return Records(tuple(address for address in found if address is not None), TTL_SECONDS)

    async def txt(self, name: str) -> Records[bytes]:
        """See `Dns`."""
        return Records(tuple(_found(name, self.texts)), TTL_SECONDS)

    async def ptr(self, address: IPAddress) -> Records[str]:
        """See `Dns`."""
        return Records(tuple(_found(str(address), self.names)), TTL_SECONDS)

    async def srv(self, name: str) -> Records[SrvRecord]:
        """See `RecordDns`."""
        return Records(tuple(_found(name, self.services)), TTL_SECONDS)

    async def cname(self, name: str) -> Records[str]:
        """See `RecordDns`."""
        return Records(tuple(_found(name, self.aliases)), TTL_SECONDS)


def _found(name: str, mapping: Mapping[str, list[T] | DnsFault]) -> list[T]:
    found = mapping.get(name, DnsFault.NXDOMAIN)
    if isinstance(found, DnsFault):
        raise dns_error(name, found)
    return found
