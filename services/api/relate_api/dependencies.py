"""What endpoints stand on: the ports, and who asks. A route that says neither scope nor `public` does not start."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from relate_accounts.ports import AccountStore, Authenticator
from relate_accounts.types import Denied, Scope, User
from relate_api.forwarded import Client
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId
from relate_wire.config import Connected


@dataclass(frozen=True, slots=True)
class Services:
    """The ports that endpoints use. `allows_plaintext` says whether a client may send a key as it is connected."""

    store: MailStore
    accounts: AccountStore
    authenticator: Authenticator
    allows_plaintext: Callable[[Connected], bool]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: its user, the scopes of its key, and when that expires."""

    user: User
    scopes: frozenset[Scope]
    expires: datetime | None = None

    @property
    def account_id(self) -> AccountId:
        """The user's mail."""
        return AccountId(self.user.id)


def services(request: Request) -> Services:
    """The app's services."""
    found: Services = request.app.state.services
    return found


_bearer = HTTPBearer(auto_error=False, description="An API key.")


class Requires:
    """A dependency: the caller holds a key with one of these scopes."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = frozenset(scopes)

    async def __call__(
        self,
        request: Request,
        ports: Annotated[Services, Depends(services)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        """Who asks. Raises HTTPException with 401, 403 or 429."""
        client: Client = request.state.client
        if not ports.allows_plaintext(client):
            raise HTTPException(HTTPStatus.FORBIDDEN, "keys are accepted over TLS only: use https")
        if bearer is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "send a key as Authorization: Bearer <key>")
        verdict = await ports.authenticator.validate_key(bearer.credentials, client.address)
        if isinstance(verdict, Denied):
            if verdict.rate_limited:
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong keys")
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the key is not valid")
        if self.scopes.isdisjoint(verdict.scopes):
            raise HTTPException(HTTPStatus.FORBIDDEN, f"the key lacks the scope {' or '.join(sorted(self.scopes))}")
        return Principal(verdict.user, verdict.scopes, verdict.expires)


Ports = Annotated[Services, Depends(services)]
Reader = Annotated[Principal, Depends(Requires(Scope.API_READ, Scope.APP))]
Writer = Annotated[Principal, Depends(Requires(Scope.API_WRITE, Scope.APP))]
KeyOwner = Annotated[Principal, Depends(Requires(Scope.APP, Scope.ADMIN))]


def require_scopes(app: FastAPI, public: Collection[str]) -> None:
    """Deny by default: raise RuntimeError when a route neither requires a scope nor is listed as public."""
    for route in iter_route_contexts(app.routes):
        if route.path not in public and not _is_scoped(getattr(route, "dependant", None)):
            raise RuntimeError(f"{route.path} requires no scope and is not public")


def _is_scoped(dependant: Dependant | None) -> bool:
    """Whether `Requires` is below; what is no API route (a page, a mount) has no dependencies at all."""
    below = dependant.dependencies if dependant else []
    return any(isinstance(item.call, Requires) or _is_scoped(item) for item in below)
