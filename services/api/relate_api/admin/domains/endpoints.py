"""`/api/admin/domains`: the domains whose mail is for users of this server."""

from http import HTTPStatus

from fastapi import APIRouter

from relate_accounts.types import Domain
from relate_api.access.dependencies import Administrator, InjectedServices, Services
from relate_api.admin.domains.describing import describe
from relate_api.admin.domains.schemas import DomainDetails, DomainList, NewDomainRequest

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
    return DomainDetails.of(*await describe(services, domain))
