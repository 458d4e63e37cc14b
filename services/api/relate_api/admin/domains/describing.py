"""Domains with the DNS records that they need."""

from collections.abc import Sequence
from typing import NamedTuple

from relate_accounts.types import Domain, DomainKey
from relate_api.access.dependencies import Services
from relate_api.autoconfig.mta_sts import policy_record
from relate_service.dns_records import Servers, domain_records


class Described(NamedTuple):
    """A domain, its keys, the newest first, and its records as lines of a zone file."""

    domain: Domain
    keys: Sequence[DomainKey]
    lines: list[str]


async def describe(services: Services, domain: Domain) -> Described:
    """A local domain with what is to be published for it. Raises AccountsUnavailable."""
    keys = await services.accounts.domain_keys(domain.name)
    installation = services.installation
    servers = Servers(
        installation.smtp,
        installation.pop3,
        installation.imap,
        installation.api,
        policy_record(installation.mta_sts, installation.smtp.server),
        installation.smarthost,
    )
    return Described(domain, keys, domain_records(domain.name, keys, servers))


async def find_domain(services: Services, name: str) -> Domain | None:
    """The local domain with a name in A-labels. Raises AccountsUnavailable."""
    return next((domain for domain in await services.accounts.domains() if domain.name == name), None)
