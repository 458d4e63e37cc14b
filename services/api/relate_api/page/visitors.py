"""Who visits: a session is a credential with the scopes of its key. Forms have to be of this page."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from relate_accounts.types import Scope
from relate_api.access.dependencies import InjectedServices, Principal, ScopeRequirement, limit_rate
from relate_api.http.forwarded import RequestClient
from relate_api.page.context import InjectedSessions
from relate_api.page.sessions.cookies import SESSION, read_cookie
from relate_api.page.sessions.csrf import check_form, check_site

REFRESH_FIELD = "x-refresh"
"""A field of requests that the page sends by itself: they do not defer the idle end of the session."""

READING = frozenset({Scope.API_READ, Scope.APP})
WRITING = frozenset({Scope.API_WRITE, Scope.APP})
KEY_OWNING = frozenset({Scope.APP, Scope.ADMIN})
"""Of each of these sets a session needs one scope, as requests to the API do."""

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class SignInNeeded(Exception):
    """There is no session, or it has ended."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The user of a session, and the secret that its forms have."""

    principal: Principal
    csrf: str = field(repr=False)

    @property
    def may_read(self) -> bool:
        """Whether the session may read mail."""
        return not self.principal.scopes.isdisjoint(READING)

    @property
    def may_write(self) -> bool:
        """Whether the session may change mail."""
        return not self.principal.scopes.isdisjoint(WRITING)

    @property
    def may_own_keys(self) -> bool:
        """Whether the session may make and revoke its user's keys."""
        return not self.principal.scopes.isdisjoint(KEY_OWNING)

    @property
    def may_administer(self) -> bool:
        """Whether the session may change the server."""
        return Scope.ADMIN in self.principal.scopes


class RequireSession(ScopeRequirement):
    """Requires a session with one of these scopes, and the session's form for requests that change something."""

    async def __call__(self, request: Request, services: InjectedServices, sessions: InjectedSessions) -> Visitor:
        """Find the session. Raises SignInNeeded, HTTPException with 403 or 429."""
        client: RequestClient = request.state.client
        if not services.allows_plaintext(client):
            raise HTTPException(HTTPStatus.FORBIDDEN, "sessions are accepted over TLS only: use https")
        token = read_cookie(request, SESSION)
        session = await sessions.find(token, client.address, is_use=self._is_use(request)) if token else None
        if session is None:
            raise SignInNeeded
        if request.method not in _SAFE_METHODS:
            await self._check_form(request, session.csrf)
        limit_rate(request, session.granted)
        if not self._allows(session.scopes):
            raise HTTPException(HTTPStatus.FORBIDDEN, f"the session lacks the scope {' or '.join(sorted(self.scopes))}")
        principal = Principal(session.user, session.scopes, session.key_expires, session.granted)
        return Visitor(principal, session.csrf)

    def _allows(self, scopes: frozenset[Scope]) -> bool:
        return not self.scopes.isdisjoint(scopes)

    def _is_use(self, request: Request) -> bool:
        return REFRESH_FIELD not in request.headers

    async def _check_form(self, request: Request, secret: str) -> None:
        await check_form(request, secret)


class RequireUploadingSession(RequireSession):
    """The same for a form with files. The view compares its secret, when it has received the form within its limits."""

    async def _check_form(self, request: Request, secret: str) -> None:
        check_site(request)


class RequireEditingSession(RequireSession):
    """Requires a session that may read and write, for forms that show what is changed: `app`, or both other scopes."""

    def __init__(self) -> None:
        super().__init__(Scope.APP)

    def _allows(self, scopes: frozenset[Scope]) -> bool:
        return super()._allows(scopes) or scopes >= {Scope.API_READ, Scope.API_WRITE}


class RequireLiveSession(RequireSession):
    """The same for a request that the page repeats by itself."""

    def _is_use(self, request: Request) -> bool:
        return False


ReadingVisitor = Annotated[Visitor, Depends(RequireSession(*READING))]
ReadingOrAdministratingVisitor = Annotated[Visitor, Depends(RequireSession(*READING, Scope.ADMIN))]
WritingVisitor = Annotated[Visitor, Depends(RequireSession(*WRITING))]
UploadingVisitor = Annotated[Visitor, Depends(RequireUploadingSession(*WRITING))]
EditingVisitor = Annotated[Visitor, Depends(RequireEditingSession())]
ListeningVisitor = Annotated[Visitor, Depends(RequireLiveSession(*READING))]
KeyOwningVisitor = Annotated[Visitor, Depends(RequireSession(*KEY_OWNING))]
AdministratingVisitor = Annotated[Visitor, Depends(RequireSession(Scope.ADMIN))]
