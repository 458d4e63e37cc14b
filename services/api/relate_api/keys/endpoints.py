"""`/api/keys`: list, create, revoke. A key cannot grant more scopes than it has, nor a later expiry.

Revoking a key does not revoke the keys that it created, because a program often creates keys for other programs, and
rotates its own from time to time.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from relate_accounts.errors import TooManyKeys
from relate_accounts.types import Scope, UserId
from relate_api.access.dependencies import InjectedServices, KeyOwner, Principal, Services
from relate_api.keys.schemas import CreatedKey, KeyDetails, KeyList, NewKeyRequest

# An app acts for its user in everything except administration.
GRANTED_BY_APP = frozenset(Scope) - {Scope.ADMIN}

# Ids are 64-bit integers in the database.
KeyId = Annotated[int, Path(ge=1, le=2**63 - 1)]

router = APIRouter(prefix="/api/keys", tags=["keys"])


@router.get("")
async def list_keys(principal: KeyOwner, services: InjectedServices) -> KeyList:
    """List the user's keys, newest first, including revoked ones."""
    keys = await services.accounts.keys(principal.user.id)
    return KeyList(items=[KeyDetails.model_validate(key) for key in keys], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_key(request: NewKeyRequest, principal: KeyOwner, services: InjectedServices) -> CreatedKey:
    """Create a key. Its secret is returned only by this request.

    A key with an expiry creates keys that expire no later; without `expires` they expire together with it.
    """
    denied = frozenset(request.scopes) - _grantable(principal)
    if denied:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"this key cannot grant {', '.join(sorted(denied))}")
    return await create_key_of(services, principal.user.id, request, principal)


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyId, principal: KeyOwner, services: InjectedServices) -> None:
    """Revoke a key: all processes refuse it and end its sessions within 30 seconds. Idempotent.

    Keys that it created stay valid.
    """
    await services.accounts.revoke_key(principal.user.id, key_id)


async def create_key_of(services: Services, user_id: UserId, request: NewKeyRequest, creator: Principal) -> CreatedKey:
    """Create a key of a user, which expires no later than its creator's. Raises HTTPException, UserNotFound."""
    expires = _expiry(request.expires, creator)
    try:
        created = await services.accounts.create_key(user_id, request.name, request.scopes, expires)
    except TooManyKeys as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error}: revoke one first") from None
    return CreatedKey(key=created.secret, details=KeyDetails.model_validate(created.key))


def _grantable(principal: Principal) -> frozenset[Scope]:
    return principal.scopes | (GRANTED_BY_APP if Scope.APP in principal.scopes else frozenset())


def _expiry(requested: datetime | None, principal: Principal) -> datetime | None:
    """The expiry of a new key. Raises HTTPException if the requested one is later than that of the creating key."""
    limit = principal.expires
    if limit is not None and requested is not None and requested > limit:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, f"this key expires at {limit:%FT%TZ} and cannot create one that expires later"
        )
    return requested or limit
