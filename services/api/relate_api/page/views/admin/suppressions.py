"""`/admin/suppressions`: the addresses elsewhere to which nothing is sent."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.admin.suppressions.endpoints import add_suppression, list_suppressions, remove_suppression
from relate_api.admin.suppressions.schemas import NewSuppressionRequest, SuppressionPage, SuppressionPageRequest
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.views.admin.forms import NOTHING_REFUSED, REFUSED, Refusal, refusal_of, show
from relate_api.page.views.admin.users import Asked, Typed
from relate_api.page.visitors import AdministratingVisitor, Visitor

PATH = "/admin/suppressions"

router = APIRouter(route_class=PageRoute)


@router.get("/admin/suppressions")
async def show_suppressions(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, cursor: Asked = ""
) -> Response:
    """Show the list, by address."""
    return await _show(request, visitor, services, cursor)


@router.post("/admin/suppressions")
async def add_suppression_by_form(
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    address: Typed = "",
    reason: Typed = "",
) -> Response:
    """Send nothing to an address from now on."""
    try:
        values = NewSuppressionRequest(address=address.strip(), reason=reason.strip())
        await add_suppression(values, visitor.principal, services)
    except REFUSED as error:
        typed = {"address": address, "reason": reason}
        return await _show(request, visitor, services, refusal=refusal_of(error), typed=typed)
    return lead_to(PATH, Done.SUPPRESSED)


@router.post("/admin/suppressions/remove")
async def remove_suppression_by_form(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, address: Typed = ""
) -> Response:
    """Send to an address again."""
    try:
        await remove_suppression(address, visitor.principal, services)
    except REFUSED as error:
        return await _show(request, visitor, services, refusal=Refusal(_ABSENT, refusal_of(error).status))
    return lead_to(PATH, Done.UNSUPPRESSED)


_ABSENT = "The address is not on the list."


async def _show(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    cursor: str = "",
    refusal: Refusal = NOTHING_REFUSED,
    typed: Mapping[str, str] | None = None,
) -> Response:
    page = SuppressionPage(items=[], next_cursor=None)
    try:
        wanted = SuppressionPageRequest.model_validate({"cursor": cursor or None})
        page = await list_suppressions(wanted, visitor.principal, services)
    except REFUSED as error:
        refusal = refusal_of(error)
    return show(
        request,
        "suppressions.html",
        visitor,
        refusal,
        page=page,
        is_first=not cursor,
        typed=typed or {"address": "", "reason": ""},
    )
