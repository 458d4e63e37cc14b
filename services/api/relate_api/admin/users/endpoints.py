"""`/api/admin/users`: users with their addresses and keys."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from relate_accounts.addresses import find_canonical
from relate_accounts.errors import UserNotFound
from relate_accounts.types import User, UserId
from relate_api.access.dependencies import Administrator, InjectedServices, Services
from relate_api.admin.schemas import PathAddress, PathId
from relate_api.admin.users.schemas import (
    AddressList,
    AdminUser,
    AdminUserDetail,
    AdminUserPage,
    NewAddressRequest,
    NewUserRequest,
    UserFilters,
    UserPatch,
)
from relate_api.keys.granting import create_key_of
from relate_api.keys.schemas import CreatedKey, KeyDetails, KeyList, NewKeyRequest
from relate_service.users import create_user, read_profile, remove_user

router = APIRouter(prefix="/users")


async def _find_user(user_id: PathId, _: Administrator, services: InjectedServices) -> User:
    return await services.accounts.user(UserId(user_id))


PathUser = Annotated[User, Depends(_find_user)]
"""The user with the id in the path; 404 if there is none."""


@router.get("")
async def list_users(
    filters: Annotated[UserFilters, Query()], _: Administrator, services: InjectedServices
) -> AdminUserPage:
    """List users, by id."""
    if filters.address is not None:
        return AdminUserPage(items=await _by_address(services, filters.address), next_cursor=None)
    users = await services.accounts.users_after(UserId(filters.after), filters.limit)
    following = str(users[-1].id) if len(users) == filters.limit else None
    return AdminUserPage(items=[AdminUser.model_validate(user) for user in users], next_cursor=following)


@router.post("", status_code=HTTPStatus.CREATED)
async def add_user(request: NewUserRequest, _: Administrator, services: InjectedServices) -> AdminUserDetail:
    """Create a user with the default mailboxes, and without a key."""
    user = await create_user(
        services.accounts,
        services.store,
        request.address,
        display_name=request.display_name,
        aliases=request.aliases,
        quota=request.quota,
    )
    return await _detail(services, user)


@router.get("/{user_id}")
async def get_user(user: PathUser, services: InjectedServices) -> AdminUserDetail:
    """Get a user with all addresses and usage figures."""
    return await _detail(services, user)


@router.patch("/{user_id}")
async def patch_user(
    patch: UserPatch, user: PathUser, principal: Administrator, services: InjectedServices
) -> AdminUserDetail:
    """Change a user's name or quota, or disable the user: all keys and tokens are refused within 30 seconds."""
    if patch.disabled and user.id == principal.user.id:
        raise HTTPException(HTTPStatus.CONFLICT, "this is the user of the key; another administrator can do it")
    accounts = services.accounts
    if patch.display_name is not None:
        user = await accounts.set_display_name(user.id, patch.display_name)
    if "quota" in patch.model_fields_set:
        user = await accounts.set_quota(user.id, patch.quota)
    if patch.disabled is not None:
        user = await accounts.set_disabled(user.id, patch.disabled)
    return await _detail(services, user)


@router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_user(
    user: PathUser,
    principal: Administrator,
    services: InjectedServices,
    free: Annotated[bool, Query(description="Whether other users can have the addresses at once.")] = False,
) -> None:
    """Remove a user, all keys and all mail. Other users can have the addresses after 30 days."""
    if user.id == principal.user.id:
        raise HTTPException(HTTPStatus.CONFLICT, "this is the user of the key; another administrator can do it")
    others = (services.filters, services.labels)
    await remove_user(services.accounts, services.store, others, user, free=free)


@router.post("/{user_id}/addresses", status_code=HTTPStatus.CREATED)
async def add_user_address(request: NewAddressRequest, user: PathUser, services: InjectedServices) -> AddressList:
    """Add an address to a user. Idempotent."""
    return AddressList(addresses=list(await services.accounts.add_alias(user.id, request.address)))


@router.delete("/{user_id}/addresses/{address:path}")
async def remove_user_address(address: PathAddress, user: PathUser, services: InjectedServices) -> AddressList:
    """Remove an address of a user; the primary one stays. Returns the others."""
    if find_canonical(address) == user.address:
        raise HTTPException(HTTPStatus.CONFLICT, "the primary address stays")
    return AddressList(addresses=list(await services.accounts.remove_alias(user.id, address)))


@router.get("/{user_id}/keys")
async def list_keys_of_user(user: PathUser, services: InjectedServices) -> KeyList:
    """List a user's keys, newest first, including revoked ones."""
    keys = await services.accounts.keys(user.id)
    return KeyList(items=[KeyDetails.model_validate(key) for key in keys], next_cursor=None)


@router.post("/{user_id}/keys", status_code=HTTPStatus.CREATED)
async def create_key_of_user(
    request: NewKeyRequest, user: PathUser, principal: Administrator, services: InjectedServices
) -> CreatedKey:
    """Create a key for a user, with any scopes. It expires no later than the administrator's own key."""
    created = await create_key_of(services, user.id, principal, request.name, request.scopes, request.expires)
    return CreatedKey(key=created.secret, details=KeyDetails.model_validate(created.key))


@router.delete("/{user_id}/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key_of_user(key_id: PathId, user: PathUser, services: InjectedServices) -> None:
    """Revoke a user's key. Idempotent."""
    await services.accounts.revoke_key(user.id, key_id)


async def _by_address(services: Services, address: str) -> list[AdminUser]:
    try:
        return [AdminUser.model_validate(await services.accounts.user_by_address(address))]
    except UserNotFound:
        return []


async def _detail(services: Services, user: User) -> AdminUserDetail:
    return AdminUserDetail.of(await read_profile(services.accounts, services.store, user))
