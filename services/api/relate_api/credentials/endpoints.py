"""`/api/smtp-credentials`: the settings of mail programs; create and revoke their keys."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException

from relate_accounts.clock import utc_now
from relate_accounts.types import ApiKey, Scope
from relate_api.access.dependencies import InjectedServices, KeyOwner
from relate_api.credentials.schemas import (
    ConnectionInfo,
    Credentials,
    NewCredentialRequest,
    NewDeviceRequest,
    ServiceInfo,
)
from relate_api.keys.endpoints import KeyId
from relate_api.keys.granting import create_granted_key, grantable
from relate_api.keys.schemas import CreatedKey, KeyDetails

DEFAULT_SCOPES = frozenset({Scope.SMTP, Scope.POP3, Scope.IMAP, Scope.API_READ, Scope.API_WRITE})

router = APIRouter(prefix="/api/smtp-credentials", tags=["smtp-credentials"])


@router.get("")
async def get_credentials(principal: KeyOwner, services: InjectedServices) -> Credentials:
    """Get what a person types into a mail program, and the user's keys."""
    keys = await services.accounts.keys(principal.user.id)
    installation = services.installation
    info = ConnectionInfo(
        smtp=ServiceInfo.of(installation.smtp),
        pop3=ServiceInfo.of(installation.pop3),
        imap=ServiceInfo.of(installation.imap),
        username=principal.user.address,
        active_key_count=sum(map(_is_active, keys)),
    )
    return Credentials(connection_info=info, keys=[KeyDetails.model_validate(key) for key in keys])


@router.post("", status_code=HTTPStatus.CREATED)
async def create_credential(
    request: NewCredentialRequest, principal: KeyOwner, services: InjectedServices
) -> CreatedKey:
    """Create a key. Its secret is returned only by this request."""
    scopes = frozenset(request.scopes or DEFAULT_SCOPES & grantable(principal))
    if not scopes:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this key can grant none of the scopes of mail programs: name some")
    created = await create_granted_key(services, principal, request.name, scopes)
    return CreatedKey(key=created.secret, details=KeyDetails.model_validate(created.key))


@router.post("/mobile", status_code=HTTPStatus.CREATED)
async def create_device_key(request: NewDeviceRequest, principal: KeyOwner, services: InjectedServices) -> CreatedKey:
    """Create the key of an app on a device: it has the scope `app`. Its secret is returned only by this request."""
    name = f"{request.device_name} ({request.platform})"
    created = await create_granted_key(services, principal, name, [Scope.APP])
    return CreatedKey(key=created.secret, details=KeyDetails.model_validate(created.key))


@router.delete("/{key_id:int}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_credential(key_id: KeyId, principal: KeyOwner, services: InjectedServices) -> None:
    """Revoke a key, as `DELETE /api/keys/{id}` does. Idempotent."""
    await services.accounts.revoke_key(principal.user.id, key_id)


def _is_active(key: ApiKey) -> bool:
    return key.revoked is None and (key.expires is None or key.expires > utc_now())
