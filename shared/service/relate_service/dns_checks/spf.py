"""Whether an SPF record permits an address (RFC 7208 §4). Awaits `Dns` only.

`ptr`, `exists` and macros are not evaluated, because they depend on the message: the result is then `CANNOT_TELL`.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from relate_outbound.dns.names import IPAddress, to_ascii
from relate_outbound.dns.ports import Dns, DnsError, DnsPermanent

MAX_LOOKUPS = 10
"""The terms that ask the DNS, of all records together (§4.6.4)."""
MAX_VOID_LOOKUPS = 2
"""Questions without an answer (§4.6.4)."""
MAX_MX_HOSTS = 10
"""The hosts of one `mx` (§4.6.4)."""


class Result(Enum):
    """The result of a check (§2.6); the value is the RFC's word, but for the last."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    CANNOT_TELL = "cannot tell"


class Evaluation(NamedTuple):
    """A result, and why, as a clause; empty if the result says it."""

    result: Result
    reason: str = ""


class _Stop(Exception):
    """The check has ended, whatever follows."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.evaluation = Evaluation(result, reason)


@dataclass(frozen=True, slots=True)
class _Term:
    """A mechanism, or the modifier `redirect`. `value` is a domain or a network, empty for the domain itself."""

    text: str
    result: Result  # if it matches
    name: str
    value: str
    prefix_by_version: tuple[int, int] = (32, 128)


_RESULTS = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
_VERSION = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_TERM = re.compile(r"(?P<qualifier>[-+~?]?)(?P<name>[a-z][a-z0-9._-]*)(?P<rest>(?:[:/=].*)?)", re.IGNORECASE)
_HOSTS = re.compile(r"(?::(?P<domain>[^/]+))?(?:/(?P<ipv4>[0-9]{1,3}))?(?://(?P<ipv6>[0-9]{1,3}))?")
_UNEVALUATED = ("ptr", "exists")


async def spf_records(dns: Dns, domain: str) -> Sequence[str]:
    """The SPF records of a domain (§4.5). Raises DnsError, DnsPermanent if it has no TXT record."""
    texts = [octets.decode("utf-8", "replace") for octets in (await dns.txt(domain)).items]
    return [text for text in texts if _VERSION.match(text)]


async def evaluate(dns: Dns, domain: str, address: IPAddress) -> Evaluation:
    """Whether the domain's record permits mail from an address."""
    try:
        return await _Check(dns, address).run(domain)
    except _Stop as stop:
        return stop.evaluation


class _Check:
    """One check, with what it has asked the DNS so far."""

    def __init__(self, dns: Dns, address: IPAddress) -> None:
        self._dns = dns
        self._address = address
        self._lookups = 0
        self._void_lookups = 0

    async def run(self, domain: str) -> Evaluation:
        """Evaluate the record of a domain. Raises _Stop."""
        try:
            records = await spf_records(self._dns, domain)
        except DnsPermanent:
            records = ()
        except DnsError as error:
            raise _Stop(Result.TEMPERROR, str(error)) from None
        if not records:
            return Evaluation(Result.NONE, f"{domain} has no SPF record")
        if len(records) > 1:
            raise _Stop(Result.PERMERROR, f"{domain} has {len(records)} SPF records")
        *mechanisms, redirect = _parse(records[0])
        for term in mechanisms:
            if term is not None and await self._matches(term, domain):
                return Evaluation(term.result, f"by {term.text} of {domain}")
        if redirect is None:
            return Evaluation(Result.NEUTRAL, f"no term of {domain} matches")
        return await self._other(redirect)

    async def _other(self, term: _Term) -> Evaluation:
        """The result of the record that a term names."""
        self._count_lookup()
        evaluation = await self.run(_domain(term.value))
        if evaluation.result is Result.NONE:
            raise _Stop(Result.PERMERROR, f"{evaluation.reason}, but {term.text} names it")
        return evaluation

    async def _matches(self, term: _Term, domain: str) -> bool:
        match term.name:
            case "all":
                return True
            case "ip4" | "ip6":
                return self._address in ipaddress.ip_network(term.value, strict=False)
            case "include":
                return (await self._other(term)).result is Result.PASS
            case "a":
                self._count_lookup()
                return self._is_among(await self._addresses(_domain(term.value or domain)), term)
            case "mx":
                self._count_lookup()
                return await self._is_mx(_domain(term.value or domain), term)
        raise _Stop(Result.CANNOT_TELL, f"{term.text} depends on the message")

    async def _is_mx(self, domain: str, term: _Term) -> bool:
        try:
            records = (await self._dns.mx(domain)).items
        except DnsError as error:
            self._count_void(error)
            return False
        if len(records) > MAX_MX_HOSTS:
            raise _Stop(Result.PERMERROR, f"{domain} has more than {MAX_MX_HOSTS} MX records")
        for record in records:
            if record.exchange and self._is_among(await self._addresses(record.exchange), term):
                return True
        return False

    async def _addresses(self, host: str) -> Sequence[IPAddress]:
        try:
            return (await self._dns.addresses(host)).items
        except DnsError as error:
            self._count_void(error)
            return ()

    def _is_among(self, addresses: Sequence[IPAddress], term: _Term) -> bool:
        prefix = term.prefix_by_version[self._address.version == 6]
        network = ipaddress.ip_network(f"{self._address}/{prefix}", strict=False)
        return any(address in network for address in addresses)

    def _count_lookup(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise _Stop(Result.PERMERROR, f"the record needs more than {MAX_LOOKUPS} lookups (RFC 7208 §4.6.4)")

    def _count_void(self, error: DnsError) -> None:
        if not isinstance(error, DnsPermanent):
            raise _Stop(Result.TEMPERROR, str(error))
        self._void_lookups += 1
        if self._void_lookups > MAX_VOID_LOOKUPS:
            reason = f"more than {MAX_VOID_LOOKUPS} of its names have no record (RFC 7208 §4.6.4)"
            raise _Stop(Result.PERMERROR, reason)


def _parse(record: str) -> list[_Term | None]:
    """The mechanisms of a record, and its redirect or None at the end. Raises _Stop for one that is malformed."""
    mechanisms: list[_Term | None] = []
    redirect: _Term | None = None
    for word in record.split(" ")[1:]:
        if not word:
            continue
        match = _TERM.fullmatch(word)
        if match is None:
            raise _malformed(word)
        name, rest = match["name"].lower(), match["rest"]
        if not rest.startswith("="):
            mechanisms.append(_mechanism(word, _RESULTS[match["qualifier"]], name, rest))
        elif match["qualifier"]:
            raise _malformed(word)
        elif name == "redirect":
            if redirect is not None:
                raise _malformed(word)
            redirect = _Term(word, Result.NEUTRAL, name, rest[1:])
    has_all = any(term is not None and term.name == "all" for term in mechanisms)
    return [*mechanisms, None if has_all else redirect]  # §6.1: redirect is ignored beside all


def _mechanism(word: str, result: Result, name: str, rest: str) -> _Term:
    if name in ("ip4", "ip6"):
        return _Term(word, result, name, _network(word, name, rest))
    if name in _UNEVALUATED or "%" in rest:
        return _Term(word, result, name, rest)
    hosts = _HOSTS.fullmatch(rest)
    if hosts is None or name not in ("all", "include", "a", "mx"):
        raise _malformed(word)
    if (name == "all" and rest) or (name == "include" and not hosts["domain"]):
        raise _malformed(word)
    prefixes = int(hosts["ipv4"] or 32), int(hosts["ipv6"] or 128)
    if prefixes[0] > 32 or prefixes[1] > 128:
        raise _malformed(word)
    return _Term(word, result, name, hosts["domain"] or "", prefixes)


def _network(word: str, name: str, rest: str) -> str:
    try:
        network = ipaddress.ip_network(rest[1:], strict=False)
    except ValueError:
        raise _malformed(word) from None
    if not rest.startswith(":") or network.version != int(name[-1]):
        raise _malformed(word)
    return str(network)


def _domain(text: str) -> str:
    """The domain of a term. Raises _Stop for a macro, and for a name that is none."""
    if "%" in text:
        raise _Stop(Result.CANNOT_TELL, f"the macro in {text} depends on the message")
    name = to_ascii(text)
    if name is None:
        raise _malformed(text)
    return name


def _malformed(word: str) -> _Stop:
    return _Stop(Result.PERMERROR, f"{word} is malformed")
