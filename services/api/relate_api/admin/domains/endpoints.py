"""`/api/admin/domains`: the domains whose mail is for users of this server."""

from http import HTTPStatus

from fastapi import APIRouter

from relate_accounts.types import Domain
from relate_api.access.dependencies import Administrator, InjectedServices, Services
from relate_api.admin.domains.schemas import DomainDetails, DomainList, NewDomainRequest
from relate_api.autoconfig.mta_sts import policy_record
from relate_service.dns_records import Servers, domain_records

router = APIRouter(prefix="/domains")


@router.get("")
async def list_domains(_: Administrator, services: InjectedServices) -> DomainList:
    """List the local domains with their DNS records, of which those of DKIM are the public halves of their keys."""
    domains = await services.accounts.domains()
    return DomainList(items=[await _details(services, domain) for domain in domains], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def add_domain(request: NewDomainRequest, _: Administrator, services: InjectedServices) -> DomainDetails:
    """Name a domain as local. Idempotent. `relate domain add` makes its DKIM keys, which are files of the relay."""
    name = await services.accounts.add_domain(request.name)
    (domain,) = [domain for domain in await services.accounts.domains() if domain.name == name]
    return await _details(services, domain)


async def _details(services: Services, domain: Domain) -> DomainDetails:
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
    return DomainDetails.of(domain, keys, domain_records(domain.name, keys, servers))
