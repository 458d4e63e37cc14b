"""`/sign-in`: with an API key. Wrong keys are limited as everywhere."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from relate_accounts.types import Denied
from relate_api.access.dependencies import InjectedServices
from relate_api.http.errors import RETRY_AFTER_SECONDS
from relate_api.http.forwarded import RequestClient
from relate_api.page.context import InjectedPage, InjectedSessions
from relate_api.page.routes import MAX_TARGET_CHARACTERS, PageRoute, own_path
from relate_api.page.sessions.cookies import SIGN_IN, read_cookie
from relate_api.page.sessions.csrf import check_form
from relate_api.page.sign_in.form import ADMITTED, PLAINTEXT, begin_session, show_form

PATHS = ("/sign-in",)
ENDED = (
    "You were signed out, and nothing was sent or changed. After you sign in, a message that you were writing has its"
    " text again; without JavaScript, go back twice for it."
)
MAX_KEY_CHARACTERS = 200

Target = Annotated[str, Query(alias="next", max_length=MAX_TARGET_CHARACTERS)]
FormTarget = Annotated[str, Form(alias="next", max_length=MAX_TARGET_CHARACTERS)]

router = APIRouter(route_class=PageRoute)


@router.get("/sign-in")
async def show_sign_in(
    request: Request, services: InjectedServices, page: InjectedPage, target: Target = "/", *, ended: bool = False
) -> Response:
    """Show the form; `ended` tells that a form was sent without a session."""
    client: RequestClient = request.state.client
    error = ENDED if ended else ""
    if not services.allows_plaintext(client):
        error = PLAINTEXT
    return show_form(request, page, error=error, target=own_path(target))


@router.post("/sign-in")
async def sign_in_by_key(
    request: Request,
    services: InjectedServices,
    page: InjectedPage,
    sessions: InjectedSessions,
    *,
    key: Annotated[str, Form(max_length=MAX_KEY_CHARACTERS)] = "",
    target: FormTarget = "/",
) -> Response:
    """Begin a session with the scopes of the key."""
    client: RequestClient = request.state.client
    if not services.allows_plaintext(client):
        return show_form(request, page, HTTPStatus.FORBIDDEN, PLAINTEXT)
    await check_form(request, read_cookie(request, SIGN_IN))
    verdict = await services.authenticator.validate_key(key.strip(), client.address)
    if isinstance(verdict, Denied) and verdict.rate_limited:
        response = show_form(request, page, HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong keys: wait a moment.", target)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    # A token would expire in minutes.
    if isinstance(verdict, Denied) or (verdict.key_id is None and not page.accepts_logins):
        return show_form(request, page, HTTPStatus.UNAUTHORIZED, "This key is not valid.", target)
    if ADMITTED.isdisjoint(verdict.scopes):
        return show_form(
            request, page, HTTPStatus.FORBIDDEN, "This key lacks the scope app, api:read or admin.", target
        )
    return await begin_session(request, sessions, verdict, own_path(target))
