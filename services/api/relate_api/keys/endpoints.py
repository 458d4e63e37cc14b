"""`/api/keys`: list, create, revoke. A key never grants more, nor for longer, than the key that makes it.

Revoking a key revokes that key alone. Those that it has made stay, as with most services: a program often makes keys
for others, and its own is exchanged from time to time.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from relate_accounts.errors import TooManyKeys
from relate_accounts.types import Scope
from relate_api.dependencies import KeyOwner, Ports, Principal
from relate_api.keys.schemas import CreatedKey, KeyList, KeyRequest, KeyView

# An app stands for its user in everything that is the user's own; administration is not.
GRANTED_BY_APP = frozenset(Scope) - {Scope.ADMIN}

# Ids are 64-bit integers in the database.
KeyId = Annotated[int, Path(ge=1, le=2**63 - 1)]

router = APIRouter(prefix="/api/keys", tags=["keys"])


@router.get("")
async def list_keys(principal: KeyOwner, ports: Ports) -> KeyList:
    """All keys of the user, revoked ones too, newest first."""
    keys = await ports.accounts.keys(principal.user.id)
    return KeyList(items=[KeyView.model_validate(key) for key in keys], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_key(request: KeyRequest, principal: KeyOwner, ports: Ports) -> CreatedKey:
    """Create a key; its secret is in this answer and nowhere else.

    A key that expires makes keys that expire no later, and with it when nothing else is said.
    """
    beyond = frozenset(request.scopes) - _grantable(principal)
    if beyond:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"this key cannot grant {', '.join(sorted(beyond))}")
    expires = _expiry(request.expires, principal)
    try:
        made = await ports.accounts.create_key(principal.user.id, request.name, request.scopes, expires)
    except TooManyKeys as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error}: revoke one that is not needed") from None
    return CreatedKey(key=made.secret, details=KeyView.model_validate(made.key))


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyId, principal: KeyOwner, ports: Ports) -> None:
    """Revoke a key: every process refuses it, and ends its open sessions, within 30 seconds. Idempotent.

    Keys that it has made stay valid.
    """
    await ports.accounts.revoke_key(principal.user.id, key_id)


def _grantable(principal: Principal) -> frozenset[Scope]:
    return principal.scopes | (GRANTED_BY_APP if Scope.APP in principal.scopes else frozenset())


def _expiry(wanted: datetime | None, principal: Principal) -> datetime | None:
    """When the new key expires. Raises HTTPException where that is after the key that makes it."""
    last = principal.expires
    if last is not None and wanted is not None and wanted > last:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"this key cannot make one that expires after it, at {last:%FT%TZ}")
    return wanted or last
