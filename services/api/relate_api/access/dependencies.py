"""Dependencies of endpoints: stores and the authenticated caller. A route without scope must be listed as public."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from relate_accounts.ports import AccountStore, Authenticator
from relate_accounts.types import Denied, Granted, Scope, User
from relate_api.access.rate_limits import RateLimiter
from relate_api.http.errors import insufficient_scope, invalid_token
from relate_api.http.forwarded import RequestClient
from relate_api.http.middleware import EXTRA_FIELDS
from relate_api.installation import Installation
from relate_mailstore.ports import (
    EventLog,
    Filters,
    Labels,
    MailStore,
    PushSubscriptions,
    QueueStore,
    Suppressions,
    Webhooks,
)
from relate_mailstore.types import AccountId
from relate_submission.rules import SubmissionRules
from relate_supervisor import NoTracing, Tracing
from relate_wire.config import Connected
from relate_wire.content_budget import ContentBudget


@dataclass(frozen=True, slots=True)
class Services:
    """The stores and the authenticator that endpoints use.

    `allows_plaintext` decides whether a client may send a key over its connection. `submission` are the rules by which
    messages are sent, `content` is the memory for those that are being received. `push_key` is the public key that
    browsers subscribe with. `tracing` makes the spans of streams, which outlast their request.
    """

    store: MailStore
    accounts: AccountStore
    authenticator: Authenticator
    allows_plaintext: Callable[[Connected], bool]
    installation: Installation
    events: EventLog
    queue: QueueStore
    suppressions: Suppressions
    submission: SubmissionRules
    content: ContentBudget
    labels: Labels
    filters: Filters
    webhooks: Webhooks
    push_subscriptions: PushSubscriptions
    push_key: str
    tracing: Tracing = field(default_factory=NoTracing)


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: user, scopes and expiry of the key; the login, to watch its revocation.

    A person with a token of an issuer has no expiry: keys that the person makes, for mail clients, outlive the token.
    """

    user: User
    scopes: frozenset[Scope]
    expires: datetime | None
    granted: Granted

    @property
    def account_id(self) -> AccountId:
        """The user's account in the mail store."""
        return AccountId(self.user.id)


def services_of(request: Request) -> Services:
    """The `Services` of the app."""
    services: Services = request.app.state.services
    return services


async def get_services(request: Request) -> Services:
    """The same as a dependency. It is a coroutine, because FastAPI calls other functions in a thread."""
    return services_of(request)


_bearer = HTTPBearer(auto_error=False, description="An API key, or a token of the configured OpenID Connect issuer.")


class ScopeRequirement:
    """A dependency that requires a credential with at least one of these scopes: a key, a token, or a session."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = frozenset(scopes)


class RequireScope(ScopeRequirement):
    """Requires a key or a token."""

    async def __call__(
        self,
        request: Request,
        services: Annotated[Services, Depends(get_services)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        """Authenticate the caller. Raises HTTPException with 401, 403 or 429."""
        client: RequestClient = request.state.client
        if not services.allows_plaintext(client):
            raise HTTPException(HTTPStatus.FORBIDDEN, "keys are accepted over TLS only: use https")
        if bearer is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "send a key as Authorization: Bearer <key>")
        verdict = await services.authenticator.validate_key(bearer.credentials, client.address)
        if isinstance(verdict, Denied):
            if verdict.rate_limited:
                raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong keys")
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the key is not valid", invalid_token())
        request.state.user = verdict.user  # also of a request that is refused
        limit_rate(request, verdict)
        if self.scopes.isdisjoint(verdict.scopes):
            detail = f"the key lacks the scope {' or '.join(sorted(self.scopes))}"
            raise HTTPException(HTTPStatus.FORBIDDEN, detail, insufficient_scope(self.scopes))
        expires = None if verdict.key_id is None else verdict.expires
        return Principal(verdict.user, verdict.scopes, expires, verdict)


def limit_rate(request: Request, granted: Granted) -> None:
    """Count the request, and tell the client of its limit. Raises HTTPException with 429 beyond it."""
    limiter: RateLimiter = request.app.state.rate_limiter
    usage = limiter.count(f"user {granted.user.id}" if granted.key_id is None else f"key {granted.key_id}")
    if usage is None:
        return
    setattr(request.state, EXTRA_FIELDS, usage.fields())
    if usage.is_exceeded:
        fields = {"Retry-After": str(usage.reset_seconds)}
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "too many requests with this key", headers=fields)


InjectedServices = Annotated[Services, Depends(get_services)]
Reader = Annotated[Principal, Depends(RequireScope(Scope.API_READ, Scope.APP))]
Writer = Annotated[Principal, Depends(RequireScope(Scope.API_WRITE, Scope.APP))]
Administrator = Annotated[Principal, Depends(RequireScope(Scope.ADMIN))]
KeyOwner = Annotated[Principal, Depends(RequireScope(Scope.APP, Scope.ADMIN))]


def require_scopes(app: FastAPI, public: Collection[str]) -> None:
    """Deny by default: raise RuntimeError for a route that neither requires a scope nor is listed as public."""
    for route in iter_route_contexts(app.routes):
        if route.path not in public and not _requires_scope(getattr(route, "dependant", None)):
            raise RuntimeError(f"{route.path} requires no scope and is not public")


def _requires_scope(dependant: Dependant | None) -> bool:
    """Whether a dependency is a `ScopeRequirement`, at any depth; mounts and plain routes have no dependencies."""
    dependencies = dependant.dependencies if dependant else []
    return any(isinstance(item.call, ScopeRequirement) or _requires_scope(item) for item in dependencies)
