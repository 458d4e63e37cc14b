"""The DNS by dnspython: asks the name servers, follows aliases, and caches answers for as long as they are valid.

/etc/hosts is not read, because mail follows the DNS (RFC 5321 §5.1). Temporary failures are not cached.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.resolver
from dns.rdatatype import RdataType

from relate_outbound.dns.names import HostPort, IPAddress, parse_address, parse_host_port
from relate_outbound.dns.nameserver import MAX_UDP_OCTETS, BoundedNameserver
from relate_outbound.dns.ports import DnsFault, MxRecord, Records, SrvRecord, dns_error
from relate_outbound.dns.shared_calls import SharedCalls
from relate_outbound.dns.ttl_cache import TtlCache

QUESTION_SECONDS = 10.0
"""The time for one question, with its retries, its name servers and its aliases."""
TRY_SECONDS = 3.0
"""The time for one exchange, so that a lost datagram leaves time to ask again."""
MAX_ALIASES = 8
"""The longest chain of CNAME records that is followed beyond one answer; dnspython follows 16 within one."""
MAX_RECORDS = 64
"""The records that are used of one answer."""
MAX_CACHED_ANSWERS = 4_096
"""The entries of the cache: 64 MiB, if each is as large as `nameserver.MAX_TCP_OCTETS` allows."""
MIN_TTL_SECONDS = 5.0
"""A TTL of 0 is raised to this, so that the steps of one attempt ask once."""
MAX_TTL_SECONDS = 3_600.0
"""A longer TTL is lowered to this, so that a domain that moves is followed within an hour."""
MAX_NEGATIVE_TTL_SECONDS = 300.0
"""The longest time for which a missing name or record is cached (RFC 2308 §5), so that a repair is soon noticed."""
DNS_PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")

# RFC 6761 §6.3: the name is never asked of the DNS.
_LOOPBACK: Records[IPAddress] = Records((IPv6Address("::1"), IPv4Address("127.0.0.1")), MAX_TTL_SECONDS)

_Result = Records[Any] | DnsFault


class _Question(NamedTuple):
    name: str
    type: RdataType


def parse_resolver(text: str) -> HostPort | None:
    """Parse `Relay__Resolver`, an IP address with an optional port; None if it is empty: the system's resolver is used.

    Raises ValueError, also for a host name, because nothing could resolve it.
    """
    if not text.strip():
        return None
    server = parse_host_port(text, DNS_PORT)
    if parse_address(server.host) is None:
        raise ValueError(f"{text!r} is not an IP address with a port")
    return server


class Resolver:
    """The port `RecordDns` by the name server `server`, else by those of `resolv_conf`, which is read once.

    `question_seconds` limits the time of each question. Raises dns.resolver.NoResolverConfiguration if the system has
    no name server.
    """

    def __init__(
        self,
        server: HostPort | None = None,
        *,
        question_seconds: float = QUESTION_SECONDS,
        try_seconds: float = TRY_SECONDS,
        max_cached_answers: int = MAX_CACHED_ANSWERS,
        resolv_conf: Path = RESOLV_CONF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question_seconds = question_seconds
        self._resolver = dns.asyncresolver.Resolver(str(resolv_conf), configure=server is None)
        addresses = map(str, self._resolver.nameservers)
        self.servers = (server,) if server else tuple(HostPort(address, DNS_PORT) for address in addresses)
        """The name servers that are asked, in order."""
        self._resolver.nameservers = [BoundedNameserver(host, port) for host, port in self.servers]
        self._resolver.use_edns(0, 0, MAX_UDP_OCTETS)
        self._resolver.timeout = try_seconds
        self._resolver.lifetime = question_seconds
        self._cache: TtlCache[_Question, _Result] = TtlCache(max_cached_answers, clock)
        self._asking: SharedCalls[_Question, _Result] = SharedCalls()

    async def mx(self, domain: str) -> Records[MxRecord]:
        """See `Dns`."""
        return _records(domain, await self._ask(domain, RdataType.MX))

    async def addresses(self, host: str) -> Records[IPAddress]:
        """See `Dns`. One family suffices, even if the question for the other one fails."""
        if host == "localhost" or host.endswith(".localhost"):
            return _LOOPBACK
        results = await asyncio.gather(self._ask(host, RdataType.AAAA), self._ask(host, RdataType.A))
        found = [result for result in results if isinstance(result, Records)]
        if found:
            return Records(
                tuple(address for records in found for address in records.items),
                min(records.ttl_seconds for records in found),
            )
        faults = [result for result in results if isinstance(result, DnsFault)]
        # A temporary fault wins over NXDOMAIN, which some name servers answer for AAAA alone (RFC 4074 §4.2).
        raise dns_error(host, next((fault for fault in faults if not fault.is_permanent), faults[-1]))

    async def txt(self, name: str) -> Records[bytes]:
        """See `Dns`."""
        return _records(name, await self._ask(name, RdataType.TXT))

    async def ptr(self, address: IPAddress) -> Records[str]:
        """See `Dns`."""
        name = address.reverse_pointer
        return _records(name, await self._ask(name, RdataType.PTR))

    async def srv(self, name: str) -> Records[SrvRecord]:
        """See `RecordDns`."""
        return _records(name, await self._ask(name, RdataType.SRV))

    async def cname(self, name: str) -> Records[str]:
        """See `RecordDns`."""
        return _records(name, await self._ask(name, RdataType.CNAME))

    async def close(self) -> None:
        """Cancel the pending questions."""
        await self._asking.close()

    async def _ask(self, name: str, rdtype: RdataType) -> _Result:
        question = _Question(name.lower().removesuffix("."), rdtype)
        cached = self._cache.get(question)
        if cached is None:
            return await self._asking.run(question, partial(self._resolve, question))
        result, left_seconds = cached
        return Records(result.items, left_seconds) if isinstance(result, Records) else result

    async def _resolve(self, question: _Question) -> _Result:
        try:
            async with asyncio.timeout(self._question_seconds):
                result, ttl_seconds = await self._query(question)
        except TimeoutError:
            return DnsFault.TIMEOUT
        if isinstance(result, Records):
            self._cache.put(question, result, result.ttl_seconds)
        elif result.is_permanent:
            self._cache.put(question, result, _bounded(ttl_seconds, MAX_NEGATIVE_TTL_SECONDS))
        return result

    async def _query(self, question: _Question) -> tuple[_Result, float]:
        """The result, and the TTL of the answer in seconds."""
        if not question.name.isascii():
            return DnsFault.INVALID_NAME, MAX_NEGATIVE_TTL_SECONDS
        try:
            return await self._follow(dns.name.from_text(question.name), question.type)
        except dns.resolver.NXDOMAIN as error:
            return DnsFault.NXDOMAIN, _negative_ttl(error)
        except dns.resolver.NoNameservers as error:
            return _fault(error.kwargs["errors"]), 0.0
        except dns.resolver.LifetimeTimeout:
            return DnsFault.TIMEOUT, 0.0
        except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong, dns.name.BadEscape):
            return DnsFault.INVALID_NAME, MAX_NEGATIVE_TTL_SECONDS
        except dns.exception.DNSException:  # such as YXDOMAIN (RFC 6672 §2.2), which dnspython raises at once
            return DnsFault.UNEXPECTED, 0.0

    async def _follow(self, name: dns.name.Name, rdtype: RdataType) -> tuple[_Result, float]:
        """Ask for the records of a name, and of its alias if the answer ends at one (RFC 1034 §3.6.2)."""
        ttl_seconds = MAX_TTL_SECONDS
        for _ in range(MAX_ALIASES):
            answer = await self._resolver.resolve(name, rdtype, search=False, raise_on_no_answer=False)
            ttl_seconds = min(ttl_seconds, answer.chaining_result.minimum_ttl)
            if answer.rrset is not None:
                return Records(_values(answer.rrset), _bounded(ttl_seconds, MAX_TTL_SECONDS)), ttl_seconds
            if answer.canonical_name == name:
                return DnsFault.NO_DATA, ttl_seconds
            name = answer.canonical_name
        return DnsFault.CNAME_LOOP, 0.0


def _records(name: str, result: _Result) -> Records[Any]:
    if isinstance(result, DnsFault):
        raise dns_error(name, result)
    return result


def _text(name: dns.name.Name) -> str:
    return name.to_text().removesuffix(".").lower()


def _values(rdatas: Any) -> tuple[Any, ...]:
    """The values of the records, those of MX in the order of their preferences, so that the bound drops the last."""
    values = [_VALUES[rdata.rdtype](rdata) for rdata in rdatas]
    if isinstance(values[0], MxRecord):
        values.sort()
    return tuple(values[:MAX_RECORDS])


_VALUES: dict[RdataType, Callable[[Any], Any]] = {
    RdataType.MX: lambda rdata: MxRecord(rdata.preference, _text(rdata.exchange)),
    RdataType.AAAA: lambda rdata: IPv6Address(rdata.address),
    RdataType.A: lambda rdata: IPv4Address(rdata.address),
    RdataType.TXT: lambda rdata: b"".join(rdata.strings),
    RdataType.PTR: lambda rdata: _text(rdata.target),
    RdataType.CNAME: lambda rdata: _text(rdata.target),
    RdataType.SRV: lambda rdata: SrvRecord(rdata.priority, rdata.weight, rdata.port, _text(rdata.target)),
}


def _bounded(ttl_seconds: float, max_seconds: float) -> float:
    return min(max(ttl_seconds, MIN_TTL_SECONDS), max_seconds)


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    """The TTL of a missing name in seconds: the minimum of the SOA record and its TTL (RFC 2308 §5)."""
    responses: dict[dns.name.Name, dns.message.QueryMessage] = error.kwargs["responses"]
    return min((response.resolve_chaining().minimum_ttl for response in responses.values()), default=0.0)


def _fault(errors: list[tuple[str, bool, int, Any, dns.message.Message | None]]) -> DnsFault:
    """The fault of the name server that was asked last."""
    error, response = errors[-1][3:]
    if response is None:
        return DnsFault.UNREACHABLE if isinstance(error, OSError) else DnsFault.MALFORMED
    if isinstance(error, dns.message.ChainTooLong):
        return DnsFault.CNAME_LOOP
    match response.rcode():
        case dns.rcode.SERVFAIL:
            return DnsFault.SERVFAIL
        case dns.rcode.REFUSED:
            return DnsFault.REFUSED
        case dns.rcode.NOERROR | dns.rcode.NXDOMAIN:
            return DnsFault.MALFORMED  # an answer for a missing name
        case _:
            return DnsFault.UNEXPECTED
