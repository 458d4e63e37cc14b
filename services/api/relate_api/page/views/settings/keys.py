"""`/settings/keys`: the keys of the user; create and revoke them."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from relate_accounts.clock import utc_now
from relate_accounts.types import ApiKey
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.keys.endpoints import KeyId
from relate_api.keys.granting import grantable
from relate_api.page.context import InjectedSessions
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.scope_words import SCOPE_WORDS
from relate_api.page.sign_in.signing_out import end_session
from relate_api.page.views.settings.new_keys import create_key
from relate_api.page.views.settings.sections import KEYS, Refused, show_section
from relate_api.page.visitors import KeyOwningVisitor, Visitor

router = APIRouter(route_class=PageRoute)


@router.get(KEYS)
async def list_keys(request: Request, visitor: KeyOwningVisitor, services: InjectedServices) -> Response:
    """List the keys: the valid ones first, each part from the newest."""
    return await _show_list(request, visitor, services)


@router.post(KEYS)
async def create_named_key(  # noqa: PLR0917
    request: Request,
    visitor: KeyOwningVisitor,
    services: InjectedServices,
    name: Annotated[str, Form()] = "",
    scopes: Annotated[list[str], Form(alias="scope")] = [],  # noqa: B006 - FastAPI copies it
    expires: Annotated[str, Form()] = "",
) -> Response:
    """Create a key, and show its secret, once."""
    try:
        created = await create_key(visitor.principal, services, name, scopes, expires)
    except Refused as refused:
        return await _show_list(request, visitor, services, str(refused), name, scopes, expires)
    return show_section(
        request, visitor, KEYS, "new_key.html", key=created.key, secret=created.secret, words=SCOPE_WORDS
    )


@router.post(KEYS + "/{key_id:int}/revoke")
async def revoke_key(
    request: Request, key_id: KeyId, visitor: KeyOwningVisitor, services: InjectedServices, sessions: InjectedSessions
) -> Response:
    """Revoke a key. Its sessions end with it: so the visitor is signed out by revoking the own one."""
    await services.accounts.revoke_key(visitor.principal.user.id, key_id)
    if key_id == visitor.principal.granted.key_id:
        return await end_session(request, sessions)
    return lead_to(KEYS, Done.KEY_REVOKED)


async def _show_list(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    error: str = "",
    name: str = "",
    chosen: Collection[str] = (),
    expires: str = "",
) -> Response:
    principal = visitor.principal
    keys = await services.accounts.keys(principal.user.id)
    may_grant = grantable(principal)
    return show_section(
        request,
        visitor,
        KEYS,
        "keys.html",
        error,
        valid=[key for key in keys if _is_valid(key)],
        ended=[key for key in keys if not _is_valid(key)],
        own_id=principal.granted.key_id,
        scopes=[scope for scope in SCOPE_WORDS if scope in may_grant],
        words=SCOPE_WORDS,
        name=name,
        chosen=chosen,
        expires=expires,
        latest=principal.expires,
        today=utc_now().date(),
    )


def _is_valid(key: ApiKey) -> bool:
    return key.revoked is None and (key.expires is None or key.expires > utc_now())
