"""`/admin/domains`: the local domains; `/admin/domains/{domain}`: their DNS records, and whether the DNS has them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response

from relate_accounts.addresses import MAX_DOMAIN_OCTETS
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.admin.domains.describing import Described, describe, find_domain
from relate_api.admin.domains.endpoints import add_domain
from relate_api.admin.domains.looking_up import LOOK_UP_SECONDS, LookUp, RecordLookUps
from relate_api.admin.domains.schemas import NewDomainRequest
from relate_api.admin.schemas import to_time
from relate_api.page.notices import Done, lead_to
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.views.admin.forms import NOTHING_REFUSED, REFUSED, Refusal, refusal_of, show
from relate_api.page.views.admin.users import Typed
from relate_api.page.visitors import AdministratingVisitor, Visitor
from relate_service.dns_checks.records import State
from relate_service.dns_records import is_host_name, parse_line

WORDS = {
    State.FOUND: "Found",
    State.SERVES: "Another one serves",
    State.DIFFERENT: "Different",
    State.MISSING: "Missing",
    State.UNANSWERED: "No answer",
}


async def get_look_ups(request: Request) -> RecordLookUps:
    """The look-ups of the app."""
    look_ups: RecordLookUps = request.app.state.look_ups
    return look_ups


InjectedLookUps = Annotated[RecordLookUps, Depends(get_look_ups)]
PathDomain = Annotated[str, Path(max_length=MAX_DOMAIN_OCTETS)]

router = APIRouter(route_class=PageRoute)


@router.get("/admin/domains")
async def show_domains(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, look_ups: InjectedLookUps
) -> Response:
    """Show the local domains, and what was lacking at the last look-up."""
    return await _show_list(request, visitor, services, look_ups)


@router.post("/admin/domains")
async def add_domain_by_form(
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    look_ups: InjectedLookUps,
    name: Typed = "",
) -> Response:
    """Name a domain as local, and lead to its records."""
    try:
        values = NewDomainRequest.model_validate({"name": name.strip()})
        added = await add_domain(values, visitor.principal, services)
    except REFUSED as error:
        refusal = Refusal("A domain has the form example.org.", refusal_of(error).status)
        return await _show_list(request, visitor, services, look_ups, refusal, name)
    return lead_to(f"/admin/domains/{added.name}", Done.DOMAIN_ADDED)


@router.get("/admin/domains/{domain}")
async def show_domain(
    request: Request, domain: PathDomain, visitor: AdministratingVisitor, services: InjectedServices
) -> Response:
    """Show the records that a domain needs."""
    return _show_domain(request, visitor, services, await _find(services, domain), None)


@router.post("/admin/domains/{domain}/look-up")
async def look_domain_up(
    request: Request,
    domain: PathDomain,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    look_ups: InjectedLookUps,
) -> Response:
    """Ask the DNS for the records, for at most `LOOK_UP_SECONDS`, and show what it says."""
    described = await _find(services, domain)
    return _show_domain(request, visitor, services, described, await look_ups.run(described))


async def _find(services: Services, name: str) -> Described:
    """Raises HTTPException with 404."""
    domain = await find_domain(services, name)
    if domain is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such domain here.")
    return await describe(services, domain)


async def _show_list(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    look_ups: RecordLookUps,
    refusal: Refusal = NOTHING_REFUSED,
    typed: str = "",
) -> Response:
    domains = await services.accounts.domains()
    newest = {domain.name: look_ups.newest(domain.name) for domain in domains}
    times = {name: to_time(found.time) for name, found in newest.items() if found is not None}
    return show(request, "domains.html", visitor, refusal, domains=domains, newest=newest, times=times, typed=typed)


def _show_domain(
    request: Request, visitor: Visitor, services: Services, described: Described, look_up: LookUp | None
) -> Response:
    return render(
        request,
        "admin/domain.html",
        visitor,
        described=described,
        records=[parse_line(line) for line in described.lines],
        look_up=look_up,
        words=WORDS,
        seconds=LOOK_UP_SECONDS,
        server=services.installation.smtp.server,
        has_name=is_host_name(services.installation.smtp.server),
    )
