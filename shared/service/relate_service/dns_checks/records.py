"""Whether the DNS has the records of a domain: each by itself, with what is there. Awaits `RecordDns` only.

A record may differ from the proposed one and serve as well: an SPF record that permits more, or an MX of another name
of this server. The checks of `domain` tell.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from relate_accounts.types import DomainKey
from relate_outbound.dns.ports import DnsError, DnsPermanent, RecordDns
from relate_service.dns_checks.domain import Sending, check_dkim, check_dmarc, check_mx, check_spf
from relate_service.dns_checks.server import Names
from relate_service.dns_checks.tags import parse_tags
from relate_service.dns_records import Record, dmarc_name
from relate_service.findings import Finding, Level

DKIM_LABEL = "._domainkey."


class State(StrEnum):
    """What the DNS says of a record."""

    FOUND = "found"
    SERVES = "serves"
    """There is another one, which serves as well."""
    DIFFERENT = "different"
    MISSING = "missing"
    UNANSWERED = "unanswered"
    """The DNS did not answer, or not in time."""


class LookedUp(NamedTuple):
    """A record, its state, the values that are there, and what to know about it, empty if nothing.

    Mail is received, or accepted elsewhere, only with the records that are `needed`.
    """

    record: Record
    state: State
    there: Sequence[str] = ()
    remark: str = ""
    needed: bool = True

    @property
    def is_lacking(self) -> bool:
        """Whether an operator has to act."""
        return self.needed and self.state in (State.DIFFERENT, State.MISSING)


class Expected(NamedTuple):
    """What a domain should have. `names` is None if this server has no name that others can find.

    `keys` has the newest first; `sending` is None if no mail leaves.
    """

    domain: str
    records: Sequence[Record]
    keys: Sequence[DomainKey]
    names: Names | None
    sending: Sending | None


async def look_up(dns: RecordDns, expected: Expected, deadline: float) -> list[LookedUp]:
    """Look all records up at the same time. What is not answered at the `deadline` of the loop is UNANSWERED."""
    return list(await asyncio.gather(*(_look_up(dns, expected, each, deadline) for each in expected.records)))


async def _look_up(dns: RecordDns, expected: Expected, record: Record, deadline: float) -> LookedUp:
    needed = _is_needed(expected, record)
    try:
        async with asyncio.timeout_at(deadline):
            there, finding = await asyncio.gather(_values(dns, record), _judge(dns, expected, record))
    except TimeoutError:
        return LookedUp(record, State.UNANSWERED, remark="the DNS did not answer in time", needed=needed)
    except DnsError as fault:
        return LookedUp(record, State.UNANSWERED, remark=str(fault), needed=needed)
    if any(_is_same(record, value) for value in there):
        doubted = finding if finding is not None and finding.level is not Level.OK else None
        return LookedUp(record, State.FOUND, there, _remark(doubted, there), needed)
    if finding is not None and finding.level is Level.OK:
        return LookedUp(record, State.SERVES, there, _remark(finding, there), needed)
    state = State.DIFFERENT if there else State.MISSING
    return LookedUp(record, state, there, _remark(finding, there), needed)


def _remark(finding: Finding | None, there: Sequence[str]) -> str:
    """The finding without what the state and the values say."""
    if finding is None:
        return ""
    text = finding.text
    for said in (*there, "missing"):
        text = text.removeprefix(said)
    return text.lstrip(":;, ")


def _is_needed(expected: Expected, record: Record) -> bool:
    """Not those of older keys, of mail programs, and of MTA-STS."""
    if DKIM_LABEL in record.name:
        return any(record.name in key.records for key in expected.keys[:1])
    return record.type == "MX" or record.name in (expected.domain, dmarc_name(expected.domain))


async def _judge(dns: RecordDns, expected: Expected, record: Record) -> Finding | None:
    """What `relate doctor` says of a record; None of those that it does not check."""
    domain, names = expected.domain, expected.names
    if record.type == "MX":
        return None if names is None else await check_mx(dns, domain, names)
    if record.type != "TXT":
        return None
    if record.name == domain:
        return await check_spf(dns, domain, expected.sending)
    if record.name == dmarc_name(domain):
        return await check_dmarc(dns, domain)
    keys = [key for key in expected.keys if record.name in key.records]
    findings = await asyncio.gather(*check_dkim(dns, keys))
    return next((each for each in findings if each.subject == record.name), None)


async def _values(dns: RecordDns, record: Record) -> Sequence[str]:
    """The values that the DNS has for the name and type, those of TXT if they are of the same kind.

    Raises DnsTemporary.
    """
    try:
        match record.type:
            case "MX":
                return [f"{preference} {host}." for preference, host in (await dns.mx(record.name)).items]
            case "SRV":
                return [f"{' '.join(map(str, each[:3]))} {each.target}." for each in (await dns.srv(record.name)).items]
            case "CNAME":
                return await _aliases(dns, record.name)
            case _:
                texts = [octets.decode("utf-8", "replace") for octets in (await dns.txt(record.name)).items]
                return [text for text in texts if _is_of_kind(record, text)]
    except DnsPermanent:
        return ()


async def _aliases(dns: RecordDns, name: str) -> Sequence[str]:
    """The alias of a name; its addresses, if it has none. Raises DnsError."""
    try:
        return [f"{target}." for target in (await dns.cname(name)).items]
    except DnsPermanent:
        return list(map(str, (await dns.addresses(name)).items))


def _is_of_kind(record: Record, text: str) -> bool:
    """Whether a TXT record has the same version; a domain has those of others, too. That of a key may lack it."""
    if DKIM_LABEL in record.name:
        return True
    return text.lower().replace(";", " ").split()[:1] == record.text.lower().replace(";", " ").split()[:1]


def _is_same(record: Record, value: str) -> bool:
    match record.type:
        case "MX":
            return value.split()[1:] == record.value.split()[1:]  # with any preference
        case "SRV":
            return value.split()[2:] == record.value.split()[2:]  # with any priority and weight
        case "TXT":
            tags = parse_tags(record.text)
            return value.strip() == record.text if tags is None else parse_tags(value) == tags
    return value == record.value
