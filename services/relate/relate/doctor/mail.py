"""The checks of mail between this server and others: settings, relay, keys, DNS, and the way outwards.

The DNS is asked with the relay's resolver. All questions are asked at the same time, and a name server that does not
answer costs `QUESTION_SECONDS`.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from relate.doctor.keys import check_keys
from relate.doctor.outwards import UNREACHED, check_port, check_smarthosts
from relate.doctor.runners import check_runners
from relate.doctor.stored import Stored, read_beats, read_domains, read_unreached
from relate.settings import Settings
from relate_accounts.errors import AccountError
from relate_api.autoconfig.mta_sts import policy_record
from relate_config import ConfigurationError
from relate_mailstore.errors import StoreError
from relate_mailstore.sql.driver.engine import open_engine
from relate_outbound.dns.ports import Dns, DnsError, DnsFault
from relate_relay.__main__ import connection_options
from relate_relay.attempt.connector import Options
from relate_service.config import RelaySettings
from relate_service.dns_checks.asking import open_resolver
from relate_service.dns_checks.domain import Sending, check_domain, check_mx
from relate_service.dns_checks.server import (
    Names,
    check_server,
    find_sources,
    global_sources,
    name_addresses,
    own_names,
)
from relate_service.dns_records import serves_web
from relate_service.findings import Finding, error, listed, ok, warning
from relate_wire.published import endpoint

QUESTION_SECONDS = 5.0
"""The time for one question to the DNS, with its retries."""
TRY_SECONDS = 2.0
DOMAINS_SECONDS = 60.0
"""The time for the records of all domains."""
CONCURRENT_DOMAINS = 20
"""Each has some ten questions at a time, and each question a socket."""
FIRST_QUESTIONS = 10
"""Whether the name server answers is seen by so many."""

_NO_ANSWER = (DnsFault.TIMEOUT, DnsFault.UNREACHABLE)


async def examine_mail(settings: Settings, *, ask_dns: bool | None, probes: Sequence[str]) -> list[Finding]:
    """Run these checks. The DNS is asked, and servers are connected to, with `ask_dns`, by default if mail leaves."""
    relay = settings.shared.relay
    findings = [_describe_relay(relay)]
    try:
        options = connection_options(relay, settings.smtp.server_name)
    except ConfigurationError as fault:
        return [*findings, error("relay settings", str(fault), "correct it: the relay does not start")]
    engine = open_engine(settings.shared.database.default_connection)
    try:
        return findings + await _examine(
            settings, options, engine, relay.enabled if ask_dns is None else ask_dns, probes
        )
    except (AccountError, StoreError):
        return findings  # the check of the database has said it
    finally:
        await engine.dispose()


async def _examine(
    settings: Settings, options: Options, engine: AsyncEngine, ask_dns: bool, probes: Sequence[str]
) -> list[Finding]:
    relay, stored = settings.shared.relay, await read_domains(engine)
    checks = [check_runners(lambda: read_beats(engine), enabled=relay.enabled)]
    if relay.enabled:
        keys = {domain: stored.keys[domain] for domain in stored.mail_domains(settings.smtp.server_name)}
        checks.append(check_keys(settings.shared.key_directory, keys))
    if ask_dns:
        unreached = await read_unreached(engine, UNREACHED)
        checks.append(_ask(settings, options, stored, probes or unreached, chosen=bool(probes)))
    return _joined(await asyncio.gather(*checks))


def _describe_relay(relay: RelaySettings) -> Finding:
    """Say whether mail leaves. Both are healthy, so that nothing is to be done."""
    if not relay.enabled:
        return ok("relay", "disabled: mail to other servers is refused; Relay__Enabled=true allows it")
    return ok("relay", f"enabled: mail leaves by {relay.smarthost or 'the servers that the DNS names'}")


async def _ask(
    settings: Settings, options: Options, stored: Stored, probed: Sequence[str], *, chosen: bool
) -> list[Finding]:
    relay = settings.shared.relay
    async with open_resolver(relay.resolver, QUESTION_SECONDS, TRY_SECONDS) as resolver:
        if resolver is None:
            return [error("DNS", "this machine has no name server", "set Relay__Resolver, or correct /etc/resolv.conf")]
        names = own_names(settings.smtp.server_name, relay.helo_name)
        if await _is_dead(resolver, [options.client_name, *stored.mail_domains(), *probed]):
            servers = listed(f"{server.host}:{server.port}" for server in resolver.servers)
            return [
                error("DNS", f"{servers} does not answer", "start it, or set Relay__Resolver to another name server")
            ]
        checks = []
        if not isinstance(names, Finding):
            published = Published(names, stored, options, sends=relay.enabled, sts_record=_sts_record(settings, names))
            checks.append(_check_published(resolver, published))
        if relay.enabled:
            checks.append(check_smarthosts(resolver, options))
        if chosen or (relay.enabled and not relay.smarthost):
            checks.append(check_port(resolver, options, probed, chosen=chosen))
        return [*([names] if isinstance(names, Finding) else []), *_joined(await asyncio.gather(*checks))]


class Published(NamedTuple):
    """What the DNS should say: `sends` means that mail leaves, `sts_record` is None if no policy is served."""

    names: Names
    stored: Stored
    options: Options
    sends: bool
    sts_record: str | None


def _sts_record(settings: Settings, names: Names) -> str | None:
    return policy_record(settings.mta_sts, names.mx) if serves_web(endpoint(settings.api)) else None


async def _check_published(dns: Dns, published: Published) -> list[Finding]:
    """Check what the DNS says of this server and of the domains."""
    names, stored, sends = published.names, published.stored, published.sends
    own, smarthost = global_sources(), published.options.smarthosts.default
    sources = await find_sources(dns, names, own)
    sending = Sending(sources, smarthost.host if smarthost else "") if sends else None
    found = await asyncio.gather(
        check_server(dns, names, own, sources if sends and not smarthost else None),
        _check_domains(dns, published, sending),
    )
    return [*_joined(found), *map(_no_postmaster, stored.without_postmaster(names.mx))]


async def _check_domains(dns: Dns, published: Published, sending: Sending | None) -> list[Finding]:
    names, stored, sts_record = published.names, published.stored, published.sts_record
    places = asyncio.Semaphore(CONCURRENT_DOMAINS)
    deadline = asyncio.get_running_loop().time() + DOMAINS_SECONDS
    mail_domains = stored.mail_domains(names.mx)

    async def check(domain: str) -> Sequence[Finding]:
        async with places:
            try:
                async with asyncio.timeout_at(deadline):
                    if domain not in mail_domains:  # without an address, the finding about this server says it
                        return [await check_mx(dns, domain, names)] if await name_addresses(dns, domain) else []
                    return await check_domain(dns, domain, names, stored.keys[domain], sending, sts_record=sts_record)
            except TimeoutError:
                return [warning(domain, "not checked, because the DNS is too slow", "run this again")]

    return _joined(await asyncio.gather(*map(check, stored.mail_domains())))


def _no_postmaster(domain: str) -> Finding:
    remedy = f"run: relate user alias ADDRESS postmaster@{domain}"
    return warning(f"{domain} postmaster", f"postmaster@{domain} is no address (RFC 5321 §4.5.1)", remedy)


def _joined(found: Iterable[Sequence[Finding]]) -> list[Finding]:
    return [finding for findings in found for finding in findings]


async def _is_dead(resolver: Dns, domains: Sequence[str]) -> bool:
    """Whether the name server answers none of some questions."""
    if not domains:
        return False
    answers = await asyncio.gather(*map(resolver.mx, domains[:FIRST_QUESTIONS]), return_exceptions=True)
    return all(isinstance(answer, DnsError) and answer.fault in _NO_ANSWER for answer in answers)
