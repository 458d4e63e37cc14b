"""The DNS as mail needs it: values, errors, and the ports `Dns` and `RecordDns`. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from relate_outbound.dns.names import IPAddress

T_co = TypeVar("T_co", covariant=True)


class MxRecord(NamedTuple):
    """An MX record (RFC 1035 §3.3.9). The exchange has no final dot, so that it is empty in a null MX (RFC 7505 §3)."""

    preference: int
    exchange: str


class SrvRecord(NamedTuple):
    """An SRV record (RFC 2782). The target has no final dot."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Records(Generic[T_co]):
    """The records of one answer, at least one, and the time for which they are valid."""

    items: tuple[T_co, ...]
    ttl_seconds: float


class DnsFault(Enum):
    """Why a question has no records."""

    NXDOMAIN = "the name does not exist"
    NO_DATA = "the name has no record of this type"
    INVALID_NAME = "the name is invalid"
    SERVFAIL = "the name server failed"
    REFUSED = "the name server refused the question"
    UNEXPECTED = "the name server answered with an unexpected response code"
    MALFORMED = "the answer is malformed"
    CNAME_LOOP = "the aliases of the name form a loop, or are too many"
    UNREACHABLE = "the name server cannot be reached"
    TIMEOUT = "the name server did not answer in time"

    @property
    def is_permanent(self) -> bool:
        """Whether the DNS answered: the name, or its record, does not exist."""
        return self in (DnsFault.NXDOMAIN, DnsFault.NO_DATA, DnsFault.INVALID_NAME)


class DnsError(Exception):
    """A question has no records; `fault` says why."""

    def __init__(self, name: str, fault: DnsFault) -> None:
        super().__init__(f"{name}: {fault.value}")
        self.name = name
        self.fault = fault


class DnsPermanent(DnsError):
    """The DNS answered that there are no records."""


class DnsTemporary(DnsError):
    """The DNS did not answer; another attempt may succeed."""


def dns_error(name: str, fault: DnsFault) -> DnsPermanent | DnsTemporary:
    """The exception of a fault."""
    return DnsPermanent(name, fault) if fault.is_permanent else DnsTemporary(name, fault)


class Dns(Protocol):
    """The questions that the relay asks. Names are in ASCII. Each method raises DnsPermanent and DnsTemporary."""

    async def mx(self, domain: str) -> Records[MxRecord]:
        """The MX records of a domain, in the order of their preferences."""

    async def addresses(self, host: str) -> Records[IPAddress]:
        """The addresses of a host, IPv6 first."""

    async def txt(self, name: str) -> Records[bytes]:
        """The TXT records of a name, each with its character strings joined (RFC 7208 §3.3)."""

    async def ptr(self, address: IPAddress) -> Records[str]:
        """The names of an address (RFC 1035 §3.5), without their final dots."""


class RecordDns(Dns, Protocol):
    """Beside these the questions for the other records of a domain."""

    async def srv(self, name: str) -> Records[SrvRecord]:
        """The SRV records of a name."""

    async def cname(self, name: str) -> Records[str]:
        """The name that another one is an alias of, without its final dot."""
