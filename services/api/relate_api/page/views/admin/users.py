"""`/admin/users`: the users, and a form for another one."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Query, Request, Response

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.admin.users.endpoints import add_user, list_users
from relate_api.admin.users.schemas import AdminUser, AdminUserPage, NewUserRequest, UserFilters
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.views.admin.forms import NOTHING_REFUSED, REFUSED, Refusal, refusal_of, show
from relate_api.page.visitors import AdministratingVisitor, Visitor
from relate_mailstore.types import AccountId

MAX_TYPED_CHARACTERS = 2_000
"""Of a field of a form; its schema has the limit of the value."""

Typed = Annotated[str, Form(max_length=MAX_TYPED_CHARACTERS)]
Asked = Annotated[str, Query(max_length=MAX_TYPED_CHARACTERS)]

router = APIRouter(route_class=PageRoute)


class Row(NamedTuple):
    """A user of the list; `used` is in octets."""

    user: AdminUser
    used: int


@router.get("/admin/users")
async def show_users(
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    address: Asked = "",
    cursor: Asked = "",
) -> Response:
    """Show users by id, or the one with an address."""
    return await _show(request, visitor, services, address.strip(), cursor)


@router.post("/admin/users")
async def add_user_by_form(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, address: Typed = "", name: Typed = ""
) -> Response:
    """Create a user, and lead to the user's page."""
    try:
        values = NewUserRequest.model_validate({"address": address.strip(), "displayName": name.strip()})
        added = await add_user(values, visitor.principal, services)
    except REFUSED as error:
        typed = {"address": address, "name": name}
        return await _show(request, visitor, services, refusal=refusal_of(error), typed=typed)
    return lead_to(f"/admin/users/{added.id}", Done.USER_ADDED)


async def _show(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    address: str = "",
    cursor: str = "",
    refusal: Refusal = NOTHING_REFUSED,
    typed: Mapping[str, str] | None = None,
) -> Response:
    page = AdminUserPage(items=[], next_cursor=None)
    try:
        filters = UserFilters.model_validate({"address": address or None, "cursor": cursor or None})
        page = await list_users(filters, visitor.principal, services)
    except REFUSED as error:
        refusal = refusal_of(error)
    return show(
        request,
        "users.html",
        visitor,
        refusal,
        rows=await _rows(services, page.items),
        address=address,
        is_first=not cursor,
        following=page.next_cursor,
        typed=typed or {"address": "", "name": ""},
    )


async def _rows(services: Services, users: Sequence[AdminUser]) -> list[Row]:
    return [Row(user, await services.store.usage(AccountId(user.id))) for user in users]
