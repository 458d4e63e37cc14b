"""`/sign-in/issuer` and `/sign-in/callback`: OpenID Connect's authorization code flow.

State, nonce and code verifier are in a signed cookie of the browser that began, so that an answer that another browser
has requested begins no session here, and causes no request to the issuer.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from relate_accounts.errors import AccountsUnavailable
from relate_api.access.dependencies import InjectedServices
from relate_api.http.forwarded import RequestClient
from relate_api.oidc import SIGN_IN_SECONDS, CodeFlow, FlowFailed
from relate_api.page.context import InjectedPage, InjectedSessions, Page
from relate_api.page.routes import PageRoute
from relate_api.page.sessions.cookies import ISSUER, clear_cookie, read_cookie, set_cookie
from relate_api.page.sign_in.form import PLAINTEXT, begin_session, show_form

PATHS = ("/sign-in/issuer", "/sign-in/callback")
MAX_CODE_CHARACTERS = 4_096
UNAVAILABLE = "The sign-in service is not available at the moment."
FAILED = "The sign-in has failed or expired: try again."

Parameter = Annotated[str, Query(max_length=MAX_CODE_CHARACTERS)]

router = APIRouter(route_class=PageRoute)


@router.get("/sign-in/issuer")
async def begin_issuer_sign_in(request: Request, services: InjectedServices, page: InjectedPage) -> Response:
    """Lead to the issuer."""
    flow = _flow(page)
    client: RequestClient = request.state.client
    if not services.allows_plaintext(client):
        return show_form(request, page, HTTPStatus.FORBIDDEN, PLAINTEXT)
    try:
        begun = await flow.begin()
    except AccountsUnavailable:
        return show_form(request, page, HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE)
    response = RedirectResponse(begun.url, HTTPStatus.SEE_OTHER)
    set_cookie(request, response, ISSUER, begun.cookie, SIGN_IN_SECONDS)
    return response


@router.get("/sign-in/callback")
async def finish_issuer_sign_in(
    request: Request,
    page: InjectedPage,
    sessions: InjectedSessions,
    code: Parameter = "",
    state: Parameter = "",
) -> Response:
    """Begin a session of the person that the issuer names."""
    flow = _flow(page)
    client: RequestClient = request.state.client
    try:
        granted = await flow.finish(read_cookie(request, ISSUER) or "", state, code, client.address)
        response = await begin_session(request, sessions, granted, "/")
    except FlowFailed:
        response = show_form(request, page, HTTPStatus.FORBIDDEN, FAILED)
    except AccountsUnavailable:
        response = show_form(request, page, HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE)
    clear_cookie(request, response, ISSUER)
    return response


def _flow(page: Page) -> CodeFlow:
    """Raises HTTPException with 404 if people do not sign in by an issuer here."""
    if page.code_flow is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no sign-in by an issuer here.")
    return page.code_flow
