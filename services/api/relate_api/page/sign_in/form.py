"""The page with the form for signing in, and the response that begins a session."""

import secrets
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from relate_accounts.types import Granted, Scope
from relate_api.page.context import Page
from relate_api.page.rendering import render
from relate_api.page.sessions.cookies import SESSION, SIGN_IN, SIGN_IN_SECONDS, read_cookie, set_cookie
from relate_api.page.sessions.keeper import SessionKeeper
from relate_api.page.visitors import READING

ADMITTED = READING | {Scope.ADMIN}
"""With none of these scopes the page has nothing to show."""
PLAINTEXT = "Keys are accepted over TLS only: use https."
SESSION_COOKIE_SECONDS = 34_560_000
"""The longest that browsers keep a cookie (RFC 6265bis §5.5): the server decides when a session ends."""


def show_form(
    request: Request, page: Page, status: HTTPStatus = HTTPStatus.OK, error: str = "", target: str = "/"
) -> Response:
    """The form. Its secret is compared with a cookie, so that no other site signs a visitor in as another user."""
    secret = read_cookie(request, SIGN_IN) or secrets.token_urlsafe(32)
    response = render(
        request, "sign_in.html", csrf=secret, error=error, target=target, has_issuer=page.code_flow is not None
    )
    response.status_code = status
    set_cookie(request, response, SIGN_IN, secret, SIGN_IN_SECONDS)
    return response


async def begin_session(request: Request, sessions: SessionKeeper, granted: Granted, target: str) -> Response:
    """Begin a session with a new token, and lead to a page."""
    token = await sessions.begin(granted, replaced=read_cookie(request, SESSION))
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    set_cookie(request, response, SESSION, token, SESSION_COOKIE_SECONDS)
    return response
