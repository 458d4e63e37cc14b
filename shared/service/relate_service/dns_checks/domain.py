"""Whether the DNS records of a domain let its mail arrive here, and be accepted elsewhere. Awaits `Dns` only."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import NamedTuple

from relate_accounts.types import DomainKey
from relate_outbound.dns.names import IPAddress, parse_address
from relate_outbound.dns.ports import Dns, DnsError, DnsFault, DnsPermanent
from relate_outbound.dns.sts_record import find_id
from relate_service.dns_checks.server import AGAIN, Names, Sources, name_addresses
from relate_service.dns_checks.spf import Result, evaluate, spf_records
from relate_service.dns_checks.tags import parse_tags
from relate_service.dns_records import SPF_OF_NONE, dmarc, dmarc_name, mx_line, spf, sts_name, txt_line
from relate_service.findings import Finding, error, listed, ok, warning

DKIM_VERSION = "DKIM1"
STS_VERSION = "v=STSv1"
DMARC_VERSION = "v=DMARC1"
DMARC_POLICIES = ("none", "quarantine", "reject")


class Sending(NamedTuple):
    """How mail leaves: from these addresses, or by the smarthost with this name, empty without one."""

    sources: Sources
    smarthost: str = ""


async def check_domain(
    dns: Dns,
    domain: str,
    names: Names,
    keys: Sequence[DomainKey],
    sending: Sending | None,
    *,
    sts_record: str | None = None,
) -> list[Finding]:
    """Check the records of a domain. `keys` has the newest first; `sending` is None if no mail leaves.

    `sts_record` is the MTA-STS record of the policy that this server serves, None if it serves none.
    """
    return await asyncio.gather(
        check_mx(dns, domain, names),
        check_spf(dns, domain, sending),
        *check_dkim(dns, keys),
        check_dmarc(dns, domain),
        *([check_mta_sts(dns, domain, sts_record)] if sts_record is not None else []),
    )


# --- MX


async def check_mx(dns: Dns, domain: str, names: Names) -> Finding:
    """Check that mail for the domain comes to this server (RFC 5321 §5.1)."""
    subject, line = f"{domain} MX", mx_line(domain, names.mx)
    try:
        hosts = [record.exchange for record in (await dns.mx(domain)).items]
    except DnsPermanent as fault:
        if fault.fault is DnsFault.NO_DATA and await _is_here(dns, [domain], names):
            return ok(subject, "none: mail goes to the address of the domain, which is this server's")
        return error(subject, str(fault), "publish:", line)
    except DnsError as fault:
        return _cannot_tell(subject, fault)
    if not any(hosts):
        return error(subject, "says that the domain accepts no mail (RFC 7505)", "publish instead:", line)
    addresses = [host for host in hosts if parse_address(host) is not None]
    if addresses:
        return error(subject, f"{listed(addresses)} is an address, and must be a name", "publish instead:", line)
    if {*names} & {*hosts}:
        return ok(subject, listed(hosts))
    if await _is_here(dns, hosts, names):
        return ok(subject, f"{listed(hosts)}, another name of {names.mx}")
    text = f"{listed(hosts)}: mail for the domain goes there, and not to {names.mx}"
    return warning(subject, text, "publish, unless that server forwards to this one:", line)


async def _is_here(dns: Dns, hosts: Sequence[str], names: Names) -> bool:
    """Whether a host has an address of this server."""
    ours = {*await name_addresses(dns, names.mx)}
    return any(
        ours & {*addresses} for addresses in await asyncio.gather(*(name_addresses(dns, host) for host in hosts))
    )


# --- SPF


async def check_spf(dns: Dns, domain: str, sending: Sending | None) -> Finding:
    """Check that there is one SPF record, and that it permits the addresses that mail leaves from (RFC 7208)."""
    subject = f"{domain} SPF"
    try:
        records = await spf_records(dns, domain)
    except DnsPermanent:
        records = ()
    except DnsError as fault:
        return _cannot_tell(subject, fault)
    if not records:
        published = spf(smarthost=sending is not None and bool(sending.smarthost))
        return error(subject, "missing", "publish:", txt_line(domain, published))
    if len(records) > 1:
        text = f"{len(records)} records, so that none is valid: {listed(records)}"
        return error(subject, text, "publish one, which has the terms of all")
    (record,) = records
    if sending is None:
        return ok(subject, f"{record}; no mail leaves from here")
    if sending.smarthost:
        return await _check_smarthost_spf(dns, domain, record, sending.smarthost)
    return await _check_permitted(dns, domain, record, sending.sources)


async def _check_permitted(dns: Dns, domain: str, record: str, sources: Sources) -> Finding:
    subject, addresses = f"{domain} SPF", sources.addresses
    if not addresses:
        return warning(
            subject, f"{record}; cannot tell what it permits", "give the name of this server an address first"
        )
    results = await asyncio.gather(*(evaluate(dns, domain, address) for address in addresses))
    bad = {address: each for address, each in zip(addresses, results, strict=True) if each.result is not Result.PASS}
    if not bad:
        return ok(subject, f"{record}; permits {listed(addresses)}")
    address, (result, reason) = next(iter(bad.items()))
    match result:
        case Result.PERMERROR:
            return error(subject, f"{record}: {reason}", "correct it: no server can use it")
        case Result.TEMPERROR | Result.CANNOT_TELL:
            return warning(subject, f"{record}: cannot tell, because {reason}", f"make sure that it permits {address}")
    text = f"{record}: {result.value} for {address}, {reason}"
    corrected = txt_line(domain, _permitting(record, list(bad)))
    if sources.assumed:
        return warning(subject, text, "publish, if mail leaves from this address:", corrected)
    return error(subject, text, "publish instead:", corrected)


def _permitting(record: str, addresses: Sequence[IPAddress]) -> str:
    """The record with these addresses, before its other terms."""
    version, _, rest = record.partition(" ")
    return " ".join([version, *(f"ip{address.version}:{address}" for address in addresses), rest]).strip()


async def _check_smarthost_spf(dns: Dns, domain: str, record: str, smarthost: str) -> Finding:
    """The addresses that a smarthost sends from are not known here, so that only what is certainly wrong is found."""
    subject, manual = f"{domain} SPF", f"what the manual of {smarthost} says, such as include:…"
    if record.strip().lower() in (spf(), SPF_OF_NONE):
        return error(subject, f"{record}: excludes {smarthost}, which sends the mail", f"put before -all {manual}")
    for address in await name_addresses(dns, smarthost):
        result, reason = await evaluate(dns, domain, address)
        if result is Result.PERMERROR:
            return error(subject, f"{record}: {reason}", "correct it: no server can use it")
    return ok(subject, f"{record}; the addresses of {smarthost} are not known here", f"make sure that it has {manual}")


# --- DKIM


def check_dkim(dns: Dns, keys: Sequence[DomainKey]) -> list[Awaitable[Finding]]:
    """Check the records of the newest keys, with which mail is signed; those of older ones may be removed."""
    return [_check_key(dns, name, record) for key in keys[:1] for name, record in key.records.items()]


async def _check_key(dns: Dns, name: str, record: str) -> Finding:
    """Check that a name has the public key of the record, and no other (RFC 6376 §3.6.1, §3.6.2.2)."""
    subject, line = name, txt_line(name, record)
    try:
        found = await _texts(dns, name)
    except DnsError as fault:
        return _cannot_tell(subject, fault)
    if not found:
        return error(subject, "missing, so that no server can verify the signatures", "publish:", line)
    if len(found) > 1:
        return error(subject, f"{len(found)} records, of which servers use any", "publish only:", line)
    tags, expected = parse_tags(found[0]), parse_tags(record) or {}
    problem = "malformed" if tags is None else _difference(tags, expected)
    if problem:
        return error(subject, problem, "publish instead:", line)
    if tags is not None and "y" in tags.get("t", "").split(":"):
        return warning(subject, "t=y: servers treat the mail as if it were unsigned", "publish instead:", line)
    return ok(subject, "has the public key")


def _difference(tags: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Why a record does not let servers verify what the expected key has signed; empty if it does."""
    if tags.get("v", DKIM_VERSION) != DKIM_VERSION:
        return f"v={tags['v']}, and not {DKIM_VERSION}"
    if tags.get("p") == "":
        return "the key is revoked, because p= is empty"
    if tags.get("k", "rsa") != expected["k"]:
        return f"a key of another type, k={tags.get('k', 'rsa')}"
    if tags.get("p") != expected["p"]:
        return "another key than the one that signs"
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return f"h={tags['h']} excludes sha256"
    if "s" in tags and not {"*", "email"} & {*tags["s"].split(":")}:
        return f"s={tags['s']} excludes email"
    return ""


# --- DMARC


async def check_dmarc(dns: Dns, domain: str) -> Finding:
    """Check that there is one valid DMARC record, of the domain or of one above it (RFC 7489 §6.6.3)."""
    subject = f"{domain} DMARC"
    try:
        for owner in _and_parents(domain):
            found = [text for text in await _texts(dns, dmarc_name(owner)) if _is_dmarc(text)]
            if found:
                return _judge_dmarc(subject, owner, found)
    except DnsError as fault:
        return _cannot_tell(subject, fault)
    line = txt_line(dmarc_name(domain), dmarc(domain))
    return error(subject, "missing; large providers refuse bulk mail without it", "publish:", line)


def _judge_dmarc(subject: str, owner: str, found: Sequence[str]) -> Finding:
    if len(found) > 1:
        return error(
            subject, f"{dmarc_name(owner)} has {len(found)} records, so that none is valid", "publish one of them"
        )
    policy = (parse_tags(found[0]) or {}).get("p", "").lower()
    if policy not in DMARC_POLICIES:
        line = txt_line(dmarc_name(owner), dmarc(owner))
        return error(subject, f"{found[0]} is malformed", "publish instead:", line)
    remedy = "forged mail is not refused; p=reject when the reports show no mail of yours that fails"
    return ok(subject, found[0], remedy if policy == "none" else "")


def _is_dmarc(text: str) -> bool:
    return text.replace(" ", "").split(";")[0] == DMARC_VERSION


def _and_parents(domain: str) -> Sequence[str]:
    """The domain, and those above it that have at least two labels."""
    labels = domain.split(".")
    return [domain, *(".".join(labels[start:]) for start in range(1, len(labels) - 1))]


# --- MTA-STS


async def check_mta_sts(dns: Dns, domain: str, expected: str) -> Finding:
    """Check that the MTA-STS record, if there is one, is that of the policy that this server serves (RFC 8461 §3.1)."""
    subject, line = f"{domain} MTA-STS", txt_line(sts_name(domain), expected)
    try:
        found = [text for text in await _texts(dns, sts_name(domain)) if text.startswith(STS_VERSION)]
    except DnsError as fault:
        return _cannot_tell(subject, fault)
    if not found:
        return ok(subject, "none: other servers may send mail without TLS", "relate domain dns prints the record")
    if len(found) > 1:
        return error(subject, f"{len(found)} records, so that none is valid", "publish only:", line)
    if find_id([found[0].encode()]) != find_id([expected.encode()]):
        text = f"{found[0]}: not the id of the policy that this server serves, so that others keep an older one"
        return warning(subject, text, "publish instead:", line)
    return ok(subject, found[0])


async def _texts(dns: Dns, name: str) -> Sequence[str]:
    """The TXT records of a name, none if it has none. Raises DnsTemporary."""
    try:
        return [octets.decode("utf-8", "replace") for octets in (await dns.txt(name)).items]
    except DnsPermanent:
        return ()


def _cannot_tell(subject: str, fault: DnsError) -> Finding:
    return warning(subject, f"cannot tell, because of {fault}", AGAIN)
