"""`/admin/users/{id}`: one user: name, quota, logins, addresses and keys; and how a user is removed."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from relate_accounts.types import User, UserId
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.admin.schemas import PathId
from relate_api.admin.users.endpoints import (
    add_user_address,
    delete_user,
    get_user,
    list_keys_of_user,
    patch_user,
    remove_user_address,
)
from relate_api.admin.users.schemas import NewAddressRequest, UserPatch
from relate_api.keys.schemas import CreatedKey
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.scope_words import SCOPE_WORDS
from relate_api.page.views.admin.forms import (
    NOTHING_REFUSED,
    REFUSED,
    Refusal,
    quota_megabytes,
    quota_octets,
    refusal_of,
    show,
)
from relate_api.page.views.admin.users import Typed
from relate_api.page.visitors import AdministratingVisitor, Visitor

router = APIRouter(route_class=PageRoute)


@router.get("/admin/users/{user_id}")
async def show_user(
    request: Request, user_id: PathId, visitor: AdministratingVisitor, services: InjectedServices
) -> Response:
    """Show a user."""
    return await show_user_page(request, visitor, services, user_id)


@router.post("/admin/users/{user_id}")
async def save_user(  # noqa: PLR0917
    request: Request,
    user_id: PathId,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    name: Typed = "",
    quota: Typed = "",
) -> Response:
    """Change a user's name and quota, in MB."""
    user = await _user(services, user_id)
    try:
        patch = UserPatch.model_validate({"displayName": name.strip(), "quota": quota_octets(quota)})
        await patch_user(patch, user, visitor.principal, services)
    except REFUSED as error:
        typed = {"name": name, "quota": quota}
        return await show_user_page(request, visitor, services, user_id, refusal_of(error), typed)
    return lead_to(_path(user_id), Done.USER_SAVED)


@router.post("/admin/users/{user_id}/logins")
async def switch_user(
    request: Request,
    user_id: PathId,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    *,
    disabled: Annotated[bool, Form()],
) -> Response:
    """Disable a user's logins, or enable them."""
    try:
        await patch_user(UserPatch(disabled=disabled), await _user(services, user_id), visitor.principal, services)
    except REFUSED as error:
        return await show_user_page(request, visitor, services, user_id, refusal_of(error))
    return lead_to(_path(user_id), Done.USER_DISABLED if disabled else Done.USER_ENABLED)


@router.post("/admin/users/{user_id}/addresses")
async def add_address(
    request: Request, user_id: PathId, visitor: AdministratingVisitor, services: InjectedServices, address: Typed = ""
) -> Response:
    """Add an address to a user."""
    user = await _user(services, user_id)
    try:
        await add_user_address(NewAddressRequest(address=address.strip()), user, services)
    except REFUSED as error:
        typed = {"address": address}
        return await show_user_page(request, visitor, services, user_id, refusal_of(error), typed)
    return lead_to(_path(user_id), Done.ADDRESS_ADDED)


@router.post("/admin/users/{user_id}/addresses/remove")
async def remove_address(
    request: Request, user_id: PathId, visitor: AdministratingVisitor, services: InjectedServices, address: Typed = ""
) -> Response:
    """Remove an address of a user; the primary one stays."""
    try:
        await remove_user_address(address, await _user(services, user_id), services)
    except REFUSED as error:
        return await show_user_page(request, visitor, services, user_id, refusal_of(error))
    return lead_to(_path(user_id), Done.ADDRESS_REMOVED)


@router.get("/admin/users/{user_id}/remove")
async def ask_to_remove(
    request: Request, user_id: PathId, visitor: AdministratingVisitor, services: InjectedServices
) -> Response:
    """Show what removing a user deletes."""
    return await _show_removal(request, visitor, services, user_id, NOTHING_REFUSED)


@router.post("/admin/users/{user_id}/remove")
async def remove_user_by_form(
    request: Request,
    user_id: PathId,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    *,
    free: Annotated[bool, Form()] = False,
) -> Response:
    """Remove a user, all keys and all mail."""
    user = await _user(services, user_id)
    try:
        await delete_user(user, visitor.principal, services, free=free)
    except REFUSED as error:
        return await _show_removal(request, visitor, services, user_id, refusal_of(error))
    return lead_to("/admin/users", Done.USER_REMOVED)


async def show_user_page(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    user_id: int,
    refusal: Refusal = NOTHING_REFUSED,
    typed: Mapping[str, object] | None = None,
    created: CreatedKey | None = None,
) -> Response:
    """The page of a user, with what was typed into its forms, or with the secret of a new key."""
    user = await _user(services, user_id)
    detail = await get_user(user, services)
    stored = {
        "name": detail.display_name,
        "quota": quota_megabytes(detail.quota),
        "address": "",
        "key_name": "",
        "days": "",
        "scopes": ["app", "imap", "smtp"],
    }
    return show(
        request,
        "user.html",
        visitor,
        refusal,
        user=detail,
        keys=(await list_keys_of_user(user, services)).items,
        typed={**stored, **(typed or {})},
        created=created,
        scopes=SCOPE_WORDS,
        is_self=user.id == visitor.principal.user.id,
    )


async def _show_removal(
    request: Request, visitor: Visitor, services: Services, user_id: int, refusal: Refusal
) -> Response:
    detail = await get_user(await _user(services, user_id), services)
    return show(request, "user_removal.html", visitor, refusal, user=detail)


async def _user(services: Services, user_id: int) -> User:
    """Raises UserNotFound."""
    return await services.accounts.user(UserId(user_id))


def _path(user_id: int) -> str:
    return f"/admin/users/{user_id}"
