"""The rule of new keys, wherever they are created: no more scopes than the caller has, and no later expiry."""

from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus

from fastapi import HTTPException

from relate_accounts.errors import TooManyKeys
from relate_accounts.types import NewKey, Scope, UserId
from relate_api.access.dependencies import Principal, Services

# An app acts for its user in everything except administration.
GRANTED_BY_APP = frozenset(Scope) - {Scope.ADMIN}


def grantable(principal: Principal) -> frozenset[Scope]:
    """The scopes that the caller may grant to a new key."""
    return principal.scopes | (GRANTED_BY_APP if Scope.APP in principal.scopes else frozenset())


async def create_granted_key(
    services: Services, principal: Principal, name: str, scopes: Collection[Scope], expires: datetime | None = None
) -> NewKey:
    """Create a key of the caller's user. Raises HTTPException with 403 or 409."""
    denied = frozenset(scopes) - grantable(principal)
    if denied:
        raise HTTPException(HTTPStatus.FORBIDDEN, f"this key cannot grant {', '.join(sorted(denied))}")
    return await create_key_of(services, principal.user.id, principal, name, scopes, expires)


async def create_key_of(  # noqa: PLR0917
    services: Services,
    user_id: UserId,
    creator: Principal,
    name: str,
    scopes: Collection[Scope],
    expires: datetime | None = None,
) -> NewKey:
    """Create a key of any user. Raises HTTPException with 403 or 409, UserNotFound."""
    expiry = _expiry(expires, creator)
    try:
        return await services.accounts.create_key(user_id, name, scopes, expiry)
    except TooManyKeys as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error}: revoke one first") from None


def _expiry(requested: datetime | None, principal: Principal) -> datetime | None:
    """The expiry of a new key. Raises HTTPException if the requested one is later than that of the creating key."""
    limit = principal.expires
    if limit is not None and requested is not None and requested > limit:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, f"this key expires at {limit:%FT%TZ} and cannot create one that expires later"
        )
    return requested or limit
