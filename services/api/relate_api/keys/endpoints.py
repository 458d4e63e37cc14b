"""`/api/keys`: list, create, revoke. A key cannot grant more scopes than it has, nor a later expiry.

Revoking a key does not revoke the keys that it created, because a program often creates keys for other programs, and
rotates its own from time to time.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from relate_api.access.dependencies import InjectedServices, KeyOwner
from relate_api.keys.granting import create_granted_key
from relate_api.keys.schemas import CreatedKey, KeyDetails, KeyList, NewKeyRequest

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
    created = await create_granted_key(services, principal, request.name, request.scopes, request.expires)
    return CreatedKey(key=created.secret, details=KeyDetails.model_validate(created.key))


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyId, principal: KeyOwner, services: InjectedServices) -> None:
    """Revoke a key: all processes refuse it and end its sessions within 30 seconds. Idempotent.

    Keys that it created stay valid.
    """
    await services.accounts.revoke_key(principal.user.id, key_id)
