"""`/admin/users/{id}/keys`: keys of a user are created, whose secret is shown once, and revoked."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from relate_accounts.clock import utc_now
from relate_accounts.types import Scope, UserId
from relate_api.access.dependencies import InjectedServices
from relate_api.admin.schemas import PathId
from relate_api.admin.users.endpoints import create_key_of_user, revoke_key_of_user
from relate_api.keys.schemas import NewKeyRequest
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.views.admin.forms import REFUSED, refusal_of
from relate_api.page.views.admin.user import show_user_page
from relate_api.page.views.admin.users import Typed
from relate_api.page.visitors import AdministratingVisitor

MAX_DAYS = 3_650

router = APIRouter(route_class=PageRoute)


@router.post("/admin/users/{user_id}/keys")
async def create_key_by_form(  # noqa: PLR0917
    request: Request,
    user_id: PathId,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    name: Typed = "",
    days: Typed = "",
    scope: Annotated[list[str], Form(max_length=len(Scope))] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Create a key, and show its secret, which cannot be shown again; the response is not stored."""
    user = await services.accounts.user(UserId(user_id))
    try:
        values = {"name": name.strip(), "scopes": scope, "expires": _expiry(days)}
        created = await create_key_of_user(NewKeyRequest.model_validate(values), user, visitor.principal, services)
    except REFUSED as error:
        typed = {"key_name": name, "days": days, "scopes": scope}
        return await show_user_page(request, visitor, services, user_id, refusal_of(error), typed)
    response = await show_user_page(request, visitor, services, user_id, created=created)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/admin/users/{user_id}/keys/{key_id}/revoke")
async def revoke_key_by_form(
    user_id: PathId, key_id: PathId, _: AdministratingVisitor, services: InjectedServices
) -> Response:
    """Revoke a key."""
    await revoke_key_of_user(key_id, await services.accounts.user(UserId(user_id)), services)
    return lead_to(f"/admin/users/{user_id}", Done.KEY_REVOKED)


def _expiry(days: str) -> str | None:
    """The end of so many days, for the schema, which refuses what is no number of days."""
    if not days.strip():
        return None
    if not (days.strip().isdecimal() and len(days.strip()) < 5 and 0 < int(days) <= MAX_DAYS):
        return days
    return (utc_now() + timedelta(days=int(days))).isoformat()
