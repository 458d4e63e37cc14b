"""`/api/keys`: list, create, revoke. A key never grants more than its maker may grant."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

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
    """Create a key; its secret is in this answer and nowhere else."""
    beyond = frozenset(request.scopes) - _grantable(principal)
    if beyond:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"this key cannot grant {', '.join(sorted(beyond))}")
    made = await ports.accounts.create_key(principal.user.id, request.name, request.scopes, request.expires)
    return CreatedKey(key=made.secret, details=KeyView.model_validate(made.key))


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyId, principal: KeyOwner, ports: Ports) -> None:
    """Revoke a key: every process refuses it within 30 seconds. Harmless when repeated."""
    await ports.accounts.revoke_key(principal.user.id, key_id)


def _grantable(principal: Principal) -> frozenset[Scope]:
    return principal.scopes | (GRANTED_BY_APP if Scope.APP in principal.scopes else frozenset())
